"""Routing a model otherwise than it would: knock an expert out, force a route, try other settings.

Hooks change what the routers return, so the one forward path stays the only one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from moe_lessons.model.router import Routing
from moe_lessons.tracing.record import find_routers


@contextmanager
def steer_routing(model: nn.Module, change: Callable[[int, Routing], Routing]) -> Iterator[None]:
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
        yield
    finally:
        for handle in handles:
            handle.remove()
