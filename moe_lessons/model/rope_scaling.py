"""Rotary positions for texts longer than those of the training: YaRN (arXiv:2309.00071) and its relative in Llama 3.1.

A pair that turns many times within the trained length tells neighbors apart, and is left alone. A pair that never
came round would meet angles that it has not seen: it is slowed down by `factor`. Between the two is a ramp.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.config import AnyAttention, AttentionConfig, RopeScaling
from moe_lessons.model.rope import Rotation, rotation


def position_rotation(positions: Int[Tensor, " time"], attention: AnyAttention) -> Rotation:
    """The rotation that a model's attention turns queries and keys by, scaled where the configuration says so.

    Where windowed layers have a base of their own, their numbers stand behind those of the full layers, unscaled
    (Gemma 3, arXiv:2503.19786, section 2); `own_rotation` takes a layer's.
    """
    if isinstance(attention, AttentionConfig) and attention.window is not None:
        theta = attention.window.rope_theta
        if theta is not None:
            full = position_rotation(positions, replace(attention, window=None))
            both = zip(full, rotation(positions, attention.rope_dim, theta), strict=True)
            return Rotation(*(torch.cat(halves, dim=-1) for halves in both))
    plain = attention.rope_dim, attention.rope_theta
    if attention.rope_scaling is None:
        return rotation(positions, *plain)
    angles = positions.float()[:, None] * scaled_frequencies(*plain, attention.rope_scaling).to(positions.device)
    angles = torch.cat([angles, angles], dim=-1)
    length = vector_scale(attention.rope_scaling)
    return Rotation(angles.cos() * length, angles.sin() * length)


def own_rotation(by: Rotation, head_dim: int, windowed: bool) -> Rotation:
    """A layer's part of a rotation that may hold those of two kinds of layers."""
    if by.cos.shape[-1] == head_dim:
        return by
    start = head_dim if windowed else 0
    return Rotation(by.cos.narrow(-1, start, head_dim), by.sin.narrow(-1, start, head_dim))


def scaled_frequencies(rope_dim: int, theta: float, scaling: RopeScaling) -> Float[Tensor, " pairs"]:
    """Angle per position of each pair, in float32."""
    pairs = torch.arange(rope_dim // 2, dtype=torch.float32)
    frequencies = theta ** -(2 * pairs / rope_dim)
    if scaling.ramp == "index":
        # The index at which a pair turns so often within the original length, whole numbers as YaRN's code takes them.
        first, last = (_index_of(turns, rope_dim, theta, scaling) for turns in (scaling.fast, scaling.slow))
        if scaling.whole:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, rope_dim - 1)
        keep = 1 - (pairs - first) / ((last - first) or 0.001)
    else:
        turns = scaling.original_length * frequencies / (2 * math.pi)
        keep = (turns - scaling.slow) / (scaling.fast - scaling.slow)
    keep = keep.clamp(0, 1)
    return frequencies * keep + frequencies / scaling.factor * (1 - keep)


def vector_scale(scaling: RopeScaling) -> float:
    """What turned queries and keys are multiplied by: YaRN's length, which makes far attention a little sharper."""
    return _growth(scaling.mscale, scaling) / _growth(scaling.mscale_all_dim, scaling)


def logit_scale(scaling: RopeScaling | None) -> float:
    """What latent attention's logits are multiplied by, unturned parts included (DeepSeek-V2's and V3's code)."""
    return 1.0 if scaling is None else _growth(scaling.mscale_all_dim, scaling) ** 2


def _growth(mscale: float, scaling: RopeScaling) -> float:
    return 0.1 * mscale * math.log(scaling.factor) + 1


def _index_of(turns: float, rope_dim: int, theta: float, scaling: RopeScaling) -> float:
    return rope_dim * math.log(scaling.original_length / (turns * 2 * math.pi)) / (2 * math.log(theta))
