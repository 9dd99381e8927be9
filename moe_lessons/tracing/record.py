"""Watching a model route, through hooks: the one forward path stays the only one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router, Routing
from moe_lessons.tracing.trace import RoutingTrace


@runtime_checkable
class Pieces(Protocol):
    """A tokenizer, as far as a trace needs one."""

    def pieces(self, ids: list[int]) -> list[str]: ...


@contextmanager
def observe_routing(model: nn.Module) -> Iterator[dict[int, Routing]]:
    """Collect each sparse layer's latest Routing, gradient included, under its number in the model.

    Multi-token modules are included where they are used; they count on from the last layer. Raises ValueError for a
    model without a router.
    """
    routers = find_routers(model, ahead=True)
    seen: dict[int, Routing] = {}

    def keep(layer: int):
        return lambda module, inputs, routing: seen.__setitem__(layer, routing)

    handles = [router.register_forward_hook(keep(layer)) for layer, router in routers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def find_routers(model: nn.Module, *, ahead: bool = False) -> dict[int, Router]:
    """The model's routers by the number of their layer, with `ahead` also those of its multi-token modules.

    Raises ValueError where there is none.
    """
    blocks = [*model.blocks, *(module.block for module in getattr(model, "mtp", ()) if ahead)]
    routers = {
        layer: block.feed_forward.router for layer, block in enumerate(blocks) if isinstance(block.feed_forward, MoE)
    }
    if not routers:
        raise ValueError("the model has no router to record; use a mixture of experts, such as course-moe")
    return routers


@contextmanager
def record_routing(model: nn.Module, tokenizer: Pieces | None = None) -> Iterator[RoutingTrace]:
    """Record every forward pass inside the block as one RoutingTrace, which is complete when the block ends.

    `tokenizer.pieces(ids)` gives the tokens their text. Several passes are laid one after the other.
    Raises ValueError for a model without a router, or when no forward pass was made.
    """
    routers = find_routers(model)
    passes: list[dict[int, Routing]] = []
    batches: list[Tensor] = []

    # Whoever calls the model, or only reads with it, has tokens looked up and then enters the first block.
    looked_up: list[Tensor] = []

    def look_up(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        looked_up[:] = [inputs[0].detach().cpu()]

    def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        batches.extend(looked_up)
        passes.append({})

    def keep(layer: int):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], routing: Routing) -> None:
            passes[-1][layer] = Routing(*(part.detach().cpu() for part in routing))

        return hook

    handles = [
        model.embedding.register_forward_pre_hook(look_up),
        model.blocks[0].register_forward_pre_hook(begin),
    ]
    handles += [router.register_forward_hook(keep(layer)) for layer, router in routers.items()]
    # The trace exists from the start, so that the block can name it, and gets its content at the end.
    trace = RoutingTrace.__new__(RoutingTrace)
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()
    if not passes:
        raise ValueError("no forward pass was made inside record_routing; call the model in the block")
    trace.__init__(**_contents(routers, batches, passes, tokenizer), model=type(model).__name__)


def _contents(
    routers: dict[int, Router], batches: list[Tensor], passes: list[dict[int, Routing]], tokenizer: Pieces | None
) -> dict[str, Any]:
    layers = sorted(routers)
    first = routers[layers[0]]

    def stacked(part: str) -> np.ndarray:
        return np.stack([torch.cat([getattr(one[layer], part) for one in passes]).numpy() for layer in layers])

    token_ids = torch.cat([batch.flatten() for batch in batches]).tolist()
    rows = [row for batch in batches for row in batch]
    no_bias = torch.zeros(len(first.weight))
    biases = [routers[layer].expert_bias for layer in layers]
    return {
        "logits": stacked("logits"),
        "bias": np.stack([(no_bias if bias is None else bias).cpu().numpy() for bias in biases]),
        "experts": stacked("experts"),
        "weights": stacked("weights"),
        "token_ids": np.array(token_ids),
        "pieces": tokenizer.pieces(token_ids) if tokenizer else [str(token) for token in token_ids],
        "position": np.concatenate([np.arange(len(row)) for row in rows]),
        "sequence": np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
        "layers": tuple(layers),
        "top_k": passes[0][layers[0]].experts.shape[1],  # steering may have changed it
        "score_function": first.score_function,
        "normalize": first.normalize,
        "route_scale": first.route_scale,
        "n_groups": first.n_groups,
        "top_groups": first.top_groups,
        "group_score": first.group_score,
    }
