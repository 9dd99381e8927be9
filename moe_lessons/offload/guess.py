"""Guessing a layer's experts before it is asked, so that they can be fetched while something else is computed.

The next layer's router, applied to what the present layer has, is Eliseev and Mazur's guess (arXiv:2312.17238, section
3.2): the residual stream changes little from one layer to the next.
"""

from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from moe_lessons.model.block import Block
from moe_lessons.model.transformer import Transformer
from moe_lessons.offload.slots import most_used
from moe_lessons.tracing.record import our_routers, record_routing


class Guesses(NamedTuple):
    """For each layer but the first with a router: which experts were thought likeliest, and which were chosen."""

    order: Int[np.ndarray, "layers tokens experts"]  # likeliest first
    experts: Int[np.ndarray, "layers tokens top_k"]
    layers: tuple[int, ...]


@torch.no_grad()
def next_layer_guesses(model: Transformer, tokens: Int[Tensor, "batch time"], *, early: bool = True) -> Guesses:
    """Each router applied one layer too soon: to the stream as the layer with a router before it sees it.

    With `early`, to what that layer's own router sees, so that fetching has all of that layer's experts' time and the
    next attention's; without, to what the layer leaves, so that it has the attention's time alone. Raises ValueError
    for a model with fewer than two routers, or with hyper-connections or hash routes.
    """
    routers = our_routers(model)
    if len(routers) < 2:
        raise ValueError(f"the model has {len(routers)} layers with a router, but a next one needs at least 2")
    if model.reads_tokens:
        raise ValueError(
            "the model's layers have hash routes, several streams or one vector as key and value, but guesses are for "
            "routers that read one stream; take a model without these"
        )
    layers, order = tuple(routers), []
    seen: dict[int, Tensor] = {}
    handles = []
    for layer in layers:
        block = cast(Block, model.blocks[layer])
        if early:
            hook = lambda module, inputs, layer=layer: seen.__setitem__(layer, inputs[0])  # noqa: E731
            handles.append(block.feed_forward_norm.register_forward_pre_hook(hook))
        else:
            hook = lambda module, inputs, output, layer=layer: seen.__setitem__(layer, output)  # noqa: E731
            handles.append(block.register_forward_hook(hook))
    try:
        with record_routing(model) as trace:
            model(tokens)
    finally:
        for handle in handles:
            handle.remove()
    for before, layer in zip(layers, layers[1:], strict=False):
        block, router = cast(Block, model.blocks[layer]), routers[layer]
        scores = router(block.feed_forward_norm(seen[before]).flatten(0, 1)).scores
        order.append(router.preference(scores).argsort(dim=-1, descending=True, stable=True).cpu().numpy())
    return Guesses(np.stack(order), trace.experts[1:], layers[1:])


def recency_guesses(
    experts: Int[np.ndarray, "layers tokens top_k"], n_experts: int
) -> Int[np.ndarray, "layers tokens experts"]:
    """The experts by how recently the tokens before used them, latest first: what LRU believes.

    Those never used come last, by their number; among one token's, its favorite comes first.
    """
    order = np.empty((*experts.shape[:2], n_experts), dtype=np.int64)
    for layer, requests in enumerate(experts.tolist()):
        recent = list(range(n_experts))
        for token, wanted in enumerate(requests):
            order[layer, token] = recent
            recent = wanted + [expert for expert in recent if expert not in wanted]
    return order


def frequency_guesses(
    experts: Int[np.ndarray, "layers tokens top_k"], n_experts: int, tokens: int
) -> Int[np.ndarray, "layers tokens experts"]:
    """The experts by how often another text used them, the same guess for each of `tokens` tokens."""
    rows = []
    for requests in experts:
        known = most_used(requests, n_experts)
        rows.append(known + [expert for expert in range(n_experts) if expert not in known])
    return np.broadcast_to(np.array(rows)[:, None], (len(rows), tokens, n_experts))


def guessed(
    order: Int[np.ndarray, "layers tokens experts"], experts: Int[np.ndarray, "layers tokens top_k"], m: int
) -> float:
    """The share of the choices that are among the m likeliest of a guess; m from 1 to experts, else ValueError.

    >>> guessed(np.array([[[2, 0, 1]]]), np.array([[[0, 1]]]), m=2)
    0.5
    """
    if not 1 <= m <= order.shape[2]:
        raise ValueError(f"m is {m}, but must be from 1 to the {order.shape[2]} experts there are")
    found = order[..., :m, None] == experts[..., None, :]
    return float(found.any(axis=-2).mean())
