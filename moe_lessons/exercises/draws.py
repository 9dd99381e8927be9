"""Random arguments that the exercises of several lessons are tried with."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where it is used: the first lesson's exercises are listed without it.


def normal(rng: np.random.Generator, *shape: int) -> "Tensor":
    """Numbers of the standard normal distribution, float32."""
    import torch

    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def choices(rng: np.random.Generator, tokens: int, n_experts: int, top_k: int) -> "Tensor":
    """For each token `top_k` different experts, int64 [tokens, top_k]."""
    import torch

    return torch.from_numpy(np.stack([rng.permutation(n_experts)[:top_k] for _ in range(tokens)]))
