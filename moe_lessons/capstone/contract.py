"""The seat: where anybody's router takes the place of the course's own, with nothing else in the model changed.

A router is a class of modules made with `(dim, n_experts, top_k)`, once for each layer; or a module, which each layer
gets a copy of; or a plain function. It is called with the tokens' vectors and returns a Routing. If it has a parameter
`token_ids`, it gets them too.
"""

import copy
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.config import MoEConfig
from moe_lessons.device import seeded
from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router, Routing
from moe_lessons.model.transformer import Transformer

AnyRouter = Callable[..., Any]  # a class of modules, a module or a function
_LOOK = ("score_function", "normalize", "route_scale")  # by what a picture tells how a router scores


class Text:
    """The token ids that the model reads at the moment."""

    ids: Tensor | None = None

    def look_up(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """A hook of the embedding: whoever runs the model has its tokens looked up first."""
        self.ids = inputs[0].flatten()


class Seat(Router):
    """Somebody's router in a layer; training and observers find there what they look for in the course's own.

    Its `expert_bias`, if it has one, is moved by the training loop as in lesson 08. Always in float32.
    """

    def __init__(self, own: AnyRouter, dim: int, config: MoEConfig, text: Text) -> None:
        super().__init__(dim, config)
        del self.weight
        # What observers count experts by; the router's own parameters are its own matter.
        self.register_buffer("weight", torch.empty(config.n_routed_experts, 0), persistent=False)
        self.own, self.text = own, text
        self.wants_ids = wants_ids(own)
        self.expert_bias = getattr(own, "expert_bias", None)
        for name in _LOOK:
            with suppress(ValueError, TypeError):  # a score function of its own is no setting of the rule
                setattr(self, name, getattr(own, name, getattr(self, name)))

    def forward(self, hidden: Float[Tensor, "tokens dim"]) -> Routing:
        return self.ask(hidden, self.text.ids)

    def ask(self, hidden: Float[Tensor, "tokens dim"], ids: Int[Tensor, " tokens"] | None) -> Routing:
        """What the router makes of these tokens."""
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            return self.own(hidden, token_ids=ids) if self.wants_ids else self.own(hidden)


def seat_routers(model: Transformer, router: AnyRouter, seed: int = 0) -> Transformer:
    """Put a router into every sparse layer of `model`, in place, and return the model.

    Modules are made from `seed`, so that a run can be repeated; whatever draws random numbers elsewhere is left alone.
    """
    text, config = Text(), model.config.moe
    device = model.embedding.weight.device
    model.embedding.register_forward_pre_hook(text.look_up)
    with seeded(seed):  # modules are made on the CPU, then moved
        for block in model.blocks:
            if config is not None and isinstance(block.feed_forward, MoE):
                own = make(router, model.config.dim, config, device)
                block.feed_forward.router = Seat(own, model.config.dim, config, text).to(device)
    return model


def seat_of(model: Transformer, layer: int) -> Seat:
    """The seat of a layer whose router was put there; ValueError where none was."""
    feed_forward = model.blocks[layer].feed_forward
    if not isinstance(feed_forward, MoE) or not isinstance(feed_forward.router, Seat):
        raise ValueError(f"layer {layer} has no seat; call seat_routers(model, router), and ask for a sparse layer")
    return feed_forward.router


def make(router: AnyRouter, dim: int, config: MoEConfig, device: torch.device | str = "cpu") -> AnyRouter:
    """One layer's router."""
    if isinstance(router, type) and issubclass(router, nn.Module):
        return router(dim, config.n_routed_experts, config.top_k).to(device)
    return copy.deepcopy(router).to(device) if isinstance(router, nn.Module) else router


def wants_ids(router: AnyRouter) -> bool:
    """Whether a router asks for the token ids beside the tokens' vectors."""
    try:
        return "token_ids" in inspect.signature(getattr(router, "forward", router)).parameters
    except (TypeError, ValueError):  # some built-in functions do not tell
        return False


def spread(
    experts: Int[Tensor, "tokens top_k"], weights: Float[Tensor, "tokens top_k"], n_experts: int
) -> Float[Tensor, "tokens experts"]:
    """The weights with a column for each expert, 0 where it was not chosen: what a token gets, in whatever order."""
    return torch.zeros(len(experts), n_experts, dtype=weights.dtype, device=weights.device).scatter_add(
        1, experts, weights
    )


def packed(
    weights: Float[Tensor, "tokens experts"],
) -> tuple[Int[Tensor, "tokens top_k"], Float[Tensor, "tokens top_k"]]:
    """The way back from `spread`: experts and weights, in as many columns as the token with most experts needs."""
    width = max(1, int((weights != 0).sum(dim=1).max())) if len(weights) else 1
    experts = weights.detach().abs().sort(dim=1, descending=True, stable=True).indices[:, :width]
    return experts, weights.gather(1, experts)


def chosen(experts: Int[Tensor, "tokens top_k"], weights: Float[Tensor, "tokens top_k"], n_experts: int) -> Routing:
    """A Routing for a router without scores: what was chosen has its weight as score, the rest 0."""
    scores = spread(experts, weights, n_experts)
    return Routing(weights, experts, scores, scores)
