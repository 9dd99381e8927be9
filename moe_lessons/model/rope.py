"""Rotary position embedding (Su et al., arXiv:2104.09864), in the half-split layout of Hugging Face's Llama."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Rotation(NamedTuple):
    """Cosine and sine of each position's angles, each angle twice: once for either half of a head."""

    cos: Float[Tensor, "time head_dim"]
    sin: Float[Tensor, "time head_dim"]


def rotation(positions: Int[Tensor, " time"], head_dim: int, theta: float) -> Rotation:
    """Angles position * theta^(-2i / head_dim) for i = 0 .. head_dim / 2 - 1, in float32."""
    exponents = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    angles = positions.float()[:, None] * theta**-exponents
    angles = torch.cat([angles, angles], dim=-1)
    return Rotation(angles.cos(), angles.sin())


def rotate(
    vectors: Float[Tensor, "batch heads time head_dim"], by: Rotation
) -> Float[Tensor, "batch heads time head_dim"]:
    """Turn each pair (entry i, entry i + head_dim / 2) by its position's angle, so that q . k sees only distance."""
    first, second = vectors.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return vectors * by.cos.to(vectors.dtype) + turned * by.sin.to(vectors.dtype)
