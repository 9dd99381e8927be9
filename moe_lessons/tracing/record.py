"""Watching a model route, through hooks: the one forward path stays the only one."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from moe_lessons.tracing.trace import RoutingTrace
from torch import Tensor, nn

from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router, Routing


@contextmanager
def observe_routing(model: nn.Module) -> Iterator[dict[int, Routing]]:
    """Collect each sparse layer's latest Routing, gradient included, under its number in the model.

    Raises ValueError for a model without a router.
    """
    routers = find_routers(model)
    seen: dict[int, Routing] = {}

    def keep(layer: int):
        return lambda module, inputs, routing: seen.__setitem__(layer, routing)

    handles = [router.register_forward_hook(keep(layer)) for layer, router in routers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def find_routers(model: nn.Module) -> dict[int, Router]:
    """The model's routers by the number of their layer; ValueError where there is none."""
    routers = {
        layer: block.feed_forward.router
        for layer, block in enumerate(model.blocks)
        if isinstance(block.feed_forward, MoE)
    }
    if not routers:
        raise ValueError("the model has no router to record; use a mixture of experts, such as course-moe")
    return routers


@contextmanager
def record_routing(model: nn.Module, tokenizer: object | None = None) -> Iterator[RoutingTrace]:
    """Record every forward pass inside the block as a RoutingTrace, which is complete when the block ends.

    `tokenizer.pieces(ids)` gives the tokens their text. Several passes are laid one after the other.
    Raises ValueError for a model without a router, or when no forward pass was made.
    """
    routers = find_routers(model)
    trace = RoutingTrace.blank()
    passes: list[dict[int, Routing]] = []
    ids: list[Tensor] = []

    def begin(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        ids.append(inputs[0].detach().cpu())
        passes.append({})

    def keep(layer: int):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], routing: Routing) -> None:
            passes[-1][layer] = Routing(*(part.detach().cpu() for part in routing))

        return hook

    handles = [model.register_forward_pre_hook(begin)]
    handles += [router.register_forward_hook(keep(layer)) for layer, router in routers.items()]
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()
    if not passes:
        raise ValueError("no forward pass was made inside record_routing; call the model in the block")
    trace.fill(**_arrays(model, routers, ids, passes, tokenizer))


def _arrays(model, routers, ids, passes, tokenizer) -> dict:
    layers = sorted(routers)
    first = routers[layers[0]]

    def stacked(part: str) -> np.ndarray:
        return np.stack([torch.cat([getattr(p[layer], part) for p in passes]).numpy() for layer in layers])

    token_ids = torch.cat([batch.flatten() for batch in ids]).numpy()
    sequence, position, start = [], [], 0
    for batch in ids:
        rows, time = batch.shape
        sequence.append(np.repeat(np.arange(start, start + rows), time))
        position.append(np.tile(np.arange(time), rows))
        start += rows
    biases = [routers[layer].expert_bias for layer in layers]
    n_experts = len(first.weight)
    return {
        "logits": stacked("logits").astype(np.float32),
        "bias": np.stack([np.zeros(n_experts) if b is None else b.cpu().numpy() for b in biases]).astype(np.float32),
        "experts": stacked("experts").astype(np.int64),
        "weights": stacked("weights").astype(np.float32),
        "token_ids": token_ids.astype(np.int64),
        "pieces": tokenizer.pieces(token_ids.tolist()) if tokenizer else [str(i) for i in token_ids.tolist()],
        "position": np.concatenate(position).astype(np.int64),
        "sequence": np.concatenate(sequence).astype(np.int64),
        "layers": tuple(layers),
        "top_k": first.top_k,
        "score_function": first.score_function,
        "normalize": first.normalize,
        "route_scale": first.route_scale,
        "model": type(model).__name__,
    }
