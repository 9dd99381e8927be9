"""Routing a model otherwise than it would: knock an expert out, force a route, try other settings.

Hooks change what the routers return, so the one forward path stays the only one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Int
from torch import Tensor, nn

from moe_lessons.model.router import Router, Routing, choose
from moe_lessons.tracing.hugging_face import ForeignRouter, run_eagerly
from moe_lessons.tracing.record import find_routers

Change = Callable[[int, Routing], Routing]


@contextmanager
def steer_routing(model: nn.Module, change: Change) -> Iterator[None]:
    """Inside the block, each sparse layer works with `change(layer, routing)` in place of its router's routing.

    Recording and training see the changed routing too, whichever block was entered first. Gradients flow through
    what `change` computes. Raises ValueError for a model without a router.
    """

    def replace(layer: int):
        return lambda module, inputs, routing: change(layer, routing)

    handles = [
        router.register_forward_hook(replace(layer), prepend=True) for layer, router in find_routers(model).items()
    ]
    try:
        with run_eagerly(model):
            yield
    finally:
        for handle in handles:
            handle.remove()


def sent_to(router: Router | ForeignRouter, routing: Routing, experts: Int[Tensor, "tokens top_k"]) -> Routing:
    """The same tokens sent to other experts, weighted as the router weighs: by their scores, without the bias."""
    return routing._replace(experts=experts, weights=router.rule.weigh(routing.scores.gather(1, experts)))


def knock_out(model: nn.Module, experts: Collection[int], layers: Collection[int] | None = None) -> Change:
    """A change for `steer_routing`: in these layers (all by default) tokens pass these experts by for their next best.

    Raises ValueError for an expert or layer that is not there, or where fewer than top_k experts would be left.
    """
    routers = _routers(model, layers)
    for layer, router in routers.items():
        n_experts = len(router.weight)
        if wrong := [expert for expert in experts if not 0 <= expert < n_experts]:
            raise ValueError(f"expert {wrong[0]} cannot be knocked out: layer {layer} has experts 0 to {n_experts - 1}")
        if n_experts - len(set(experts)) < router.top_k:
            raise ValueError(
                f"knocking out {len(set(experts))} of {n_experts} experts leaves too few for top_k = {router.top_k}; "
                "knock out fewer"
            )

    off = torch.tensor(list(experts), dtype=torch.long)

    def change(layer: int, routing: Routing) -> Routing:
        if layer not in routers:
            return routing
        router = routers[layer]
        left = routing.scores.detach().index_fill(1, off.to(routing.scores.device), -torch.inf)
        return sent_to(router, routing, choose(router.preference(left), router.top_k))

    return change


def only_expert(model: nn.Module, expert: int, layers: Collection[int] | None = None) -> Change:
    """A change for `steer_routing`: in these layers (all by default) one expert alone works on every token.

    Raises ValueError for an expert or layer that is not there.
    """
    routers = _routers(model, layers)
    for layer, router in routers.items():
        if not 0 <= expert < len(router.weight):
            raise ValueError(
                f"expert {expert} cannot take every token: layer {layer} has experts 0 to {len(router.weight) - 1}"
            )

    def change(layer: int, routing: Routing) -> Routing:
        if layer not in routers:
            return routing
        return sent_to(routers[layer], routing, torch.full_like(routing.experts[:, :1], expert))

    return change


def _routers(model: nn.Module, layers: Collection[int] | None) -> Mapping[int, Router | ForeignRouter]:
    """The routers of the layers asked for; ValueError where a layer has none."""
    routers = find_routers(model)
    if layers is None:
        return routers
    if wrong := [layer for layer in layers if layer not in routers]:
        raise ValueError(f"layer {wrong[0]} has no router; the layers {', '.join(map(str, routers))} have one")
    return {layer: routers[layer] for layer in layers}
