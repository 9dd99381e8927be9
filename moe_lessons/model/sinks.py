"""Attention sinks: one more score a head, learned, whose share of the attention goes nowhere (arXiv:2309.17453)."""

import torch
from jaxtyping import Float
from torch import Tensor


def shares_beside_sinks(
    scores: Float[Tensor, "batch heads new time"], sinks: Float[Tensor, " heads"] | None
) -> Float[Tensor, "batch heads new time"]:
    """Softmax over keys and sink together, without the sink's share: each row sums to less than 1."""
    if sinks is None:
        return scores.softmax(dim=-1)
    column = sinks.to(scores.dtype)[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.cat([scores, column], dim=-1).softmax(dim=-1)[..., :-1]
