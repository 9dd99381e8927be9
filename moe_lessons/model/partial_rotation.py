"""Rotary positions on the last numbers of a vector alone, and back again.

Where one vector is key and value, what is gathered was turned by each key's position. Turned back by the query's, it
depends on their distance alone (DeepSeek-V4, arXiv:2606.19348, section 2.3.3).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.model.rope import Rotation, rotate


def turn_last(
    vectors: Float[Tensor, "batch heads time head_dim"], by: Rotation
) -> Float[Tensor, "batch heads time head_dim"]:
    """The vectors with as many of their last numbers turned as `by` has angles for."""
    rope = by.cos.shape[-1]
    if rope == vectors.shape[-1]:
        return rotate(vectors, by)
    nope, turned = vectors.split([vectors.shape[-1] - rope, rope], dim=-1)
    return torch.cat([nope, rotate(turned, by)], dim=-1)


def inverse(by: Rotation) -> Rotation:
    """The rotation that undoes another one, apart from its length."""
    return Rotation(by.cos, -by.sin)
