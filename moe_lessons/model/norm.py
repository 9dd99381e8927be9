"""Root-mean-square normalization (Zhang and Sennrich, arXiv:1910.07467)."""

from functools import cache

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FEW_NUMBERS = 4096  # beginning an operation takes longer than doing it


def normalize_rms(
    hidden: Float[Tensor, "*batch dim"], weight: Float[Tensor, " dim"], eps: float
) -> Float[Tensor, "*batch dim"]:
    """PyTorch's F.rms_norm, which on a CPU is some twenty operations; for a few vectors without gradients in five."""
    if (
        torch.is_grad_enabled()
        or hidden.numel() > FEW_NUMBERS
        or not (hidden.is_cpu and hidden.dtype == weight.dtype == torch.float32)
        or torch.compiler.is_compiling()
    ):
        return F.rms_norm(hidden, weight.shape, weight, eps)
    length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
    mean_square = torch.addcmul(_constant(eps), length, length, value=1 / hidden.shape[-1])  # and eps
    return hidden * weight * mean_square.rsqrt()


@cache
def _constant(value: float) -> Float[Tensor, ""]:
    return torch.tensor(value, dtype=torch.float32)


class RMSNorm(nn.Module):
    """Scale each vector to a root mean square of 1, then by a learned gain per entry."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, hidden: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        return normalize_rms(hidden, self.weight, self.eps)


class JointRMSNorm(RMSNorm):
    """All heads of a token together scaled to a root mean square of 1, as one vector."""

    def forward(
        self, vectors: Float[Tensor, "batch heads time head_dim"]
    ) -> Float[Tensor, "batch heads time head_dim"]:
        joined = rearrange(vectors, "batch heads time head_dim -> batch time (heads head_dim)")
        split = "batch time (heads head_dim) -> batch heads time head_dim"
        return rearrange(super().forward(joined), split, heads=vectors.shape[1])
