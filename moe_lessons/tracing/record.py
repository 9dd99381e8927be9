"""Watching a model route, through hooks: the one forward path stays the only one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router, Routing
from moe_lessons.model.transformer import Transformer
from moe_lessons.routing_rule import RoutingRule
from moe_lessons.tracing.hugging_face import Batch, ForeignRouter, foreign_passes, foreign_routers, run_eagerly
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
        with run_eagerly(model):
            yield seen
    finally:
        for handle in handles:
            handle.remove()


def find_routers(model: nn.Module, *, ahead: bool = False) -> dict[int, Router] | dict[int, ForeignRouter]:
    """The model's routers by the number of their layer, with `ahead` also those of its multi-token modules.

    The model is ours or one of Hugging Face's. Raises ValueError where there is no router, or none that is known.
    """
    if _is_ours(model):
        routers = our_routers(model, ahead=ahead)
    else:
        routers = foreign_routers(model)
    if not routers:
        raise ValueError("the model has no router to record; use a mixture of experts, such as course-moe")
    return routers


def our_routers(model: Transformer, *, ahead: bool = False) -> dict[int, Router]:
    """The same of a model that is ours, and without an error where it is dense."""
    blocks = [*model.blocks, *(module.block for module in getattr(model, "mtp", ()) if ahead)]
    feed_forwards = dict(enumerate(block.feed_forward for block in blocks))
    return {layer: each.router for layer, each in feed_forwards.items() if isinstance(each, MoE)}


@contextmanager
def record_routing(model: nn.Module, tokenizer: Pieces | None = None) -> Iterator[RoutingTrace]:
    """Record every forward pass inside the block as one RoutingTrace, which is complete when the block ends.

    The model is ours or one of Hugging Face's. `tokenizer.pieces(ids)` gives the tokens their text. Several passes are
    laid one after the other, and those that go on behind a cache continue the sequences of the pass before; padding,
    as an attention mask tells it, is left out. Raises ValueError for a model
    without a router that is known, or when no forward pass was made.
    """
    routers = find_routers(model)
    passes: list[dict[int, Routing]] = []
    batches: list[Batch] = []

    def begin(batch: Batch) -> None:
        batches.append(batch)
        passes.append({})

    def keep(layer: int):
        def hook(module: object, inputs: tuple[Tensor, ...], routing: Routing) -> None:
            # A layer that runs twice in a pass recomputes its activations: nothing new.
            if passes and layer not in passes[-1]:
                kept = batches[-1].kept
                if len(routing.experts) != len(kept):
                    raise ValueError(
                        f"layer {layer} routed {len(routing.experts)} of a pass's {len(kept)} tokens at once; use a "
                        "model whose experts see all of them together"
                    )
                passes[-1][layer] = Routing(*(part.detach().cpu()[kept] for part in routing))

        return hook

    # The trace exists from the start, so that the block can name it, and gets its content at the end.
    trace = RoutingTrace.__new__(RoutingTrace)
    with _our_passes(model, begin) if _is_ours(model) else foreign_passes(model, _stack_of(routers), begin):
        handles = [router.register_forward_hook(keep(layer)) for layer, router in routers.items()]
        try:
            with run_eagerly(model):
                yield trace
        finally:
            for handle in handles:
                handle.remove()
    if not passes:
        raise ValueError("no forward pass was made inside record_routing; call the model in the block")
    trace.__init__(**_contents(routers, batches, passes, tokenizer), model=type(model).__name__)


@contextmanager
def _our_passes(model: Transformer, begin: Callable[[Batch], None]) -> Iterator[None]:
    """Inside the block, call `begin` for each forward pass as it reaches the first block."""
    # Whoever calls the model, or only reads with it, has tokens looked up and then enters the first block.
    looked_up: list[Tensor] = []
    rows_before, first, known = 0, 0, None  # sequences so far, the present batch's first one, its cache

    def look_up(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        looked_up[:] = [inputs[0].detach().cpu()]

    def reach(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal rows_before, first, known
        (ids,) = looked_up
        rows, time = ids.shape
        cache = inputs[2] if len(inputs) > 2 else None
        past = 0 if cache is None else cache.length
        if past == 0 or cache is not known:  # else the same sequences go on
            first, known, rows_before = rows_before, cache, rows_before + rows
        begin(
            Batch(
                ids=ids.flatten(),
                position=torch.arange(past, past + time).repeat(rows),
                sequence=torch.arange(first, first + rows).repeat_interleave(time),
                kept=torch.ones(rows * time, dtype=torch.bool),
            )
        )

    handles = [model.embedding.register_forward_pre_hook(look_up), model.blocks[0].register_forward_pre_hook(reach)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _stack_of(routers: dict[int, Any]) -> str:
    """The name of the list of layers that the routers of somebody else's model stand in."""
    return next(iter(routers.values())).mixture.stack


def _is_ours(model: nn.Module) -> TypeGuard[Transformer]:
    """Whether it is a Transformer, or is built like one, as a lesson's own."""
    return hasattr(model, "blocks")


def _contents(
    routers: dict[int, Any], batches: list[Batch], passes: list[dict[int, Routing]], tokenizer: Pieces | None
) -> dict[str, Any]:
    layers = sorted(routers)
    if silent := [layer for layer in layers for one in passes if layer not in one]:
        raise ValueError(
            f"the router of layer {silent[0]} was not asked in a pass; load the model without fused kernels for experts"
        )

    def stacked(part: str) -> np.ndarray:
        return np.stack([torch.cat([getattr(one[layer], part) for one in passes]).numpy() for layer in layers])

    def listed(part: str) -> np.ndarray:
        return torch.cat([getattr(batch, part)[batch.kept] for batch in batches]).numpy()

    token_ids = listed("ids").tolist()
    sizes = {(one[layer].logits.shape[1], one[layer].experts.shape[1]) for one in passes for layer in layers}
    if len(sizes) > 1:
        (n_one, k_one), (n_other, k_other), *_ = sorted(sizes)
        raise ValueError(
            f"layers route to {k_one} of {n_one} experts and to {k_other} of {n_other}, which is no one trace; "
            "steer all layers alike, or record a model whose layers are"
        )
    ((n_experts, top_k),) = sizes
    no_bias = torch.zeros(n_experts)
    rules = [_rule(routers[layer], [one[layer] for one in passes]) for layer in layers]
    rule = rules[0] if all(rule == rules[0] for rule in rules) else None
    biases = [routers[layer].expert_bias for layer in layers]
    return {
        "logits": stacked("logits"),
        "bias": np.stack([(no_bias if bias is None else bias).float().cpu().numpy() for bias in biases]),
        "experts": stacked("experts"),
        "weights": stacked("weights"),
        "token_ids": np.array(token_ids, dtype=np.int64),
        "pieces": tokenizer.pieces(token_ids) if tokenizer and -1 not in token_ids else [str(i) for i in token_ids],
        "position": listed("position"),
        "sequence": listed("sequence"),
        "layers": tuple(layers),
        "rule": replace(rule, top_k=top_k) if rule else RoutingRule(top_k=top_k),  # steering may have changed it
        "rule_known": rule is not None,
    }


def _rule(router: Router | ForeignRouter, heard: list[Routing]) -> RoutingRule | None:
    """The router's rule; None where it does not explain all that was heard."""
    if not isinstance(router, ForeignRouter):
        return router.rule
    whole = (torch.cat(part) for part in zip(*((one.logits, one.experts, one.weights) for one in heard), strict=True))
    return router.known_rule if router.explains(*whole) else None
