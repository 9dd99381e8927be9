"""Root-mean-square normalization (Zhang and Sennrich, arXiv:1910.07467)."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class RMSNorm(nn.Module):
    """Scale each vector to a root mean square of 1, then by a learned gain per entry."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, hidden: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        return F.rms_norm(hidden, self.weight.shape, self.weight, self.eps)


class JointRMSNorm(RMSNorm):
    """All heads of a token together scaled to a root mean square of 1, as one vector."""

    def forward(
        self, vectors: Float[Tensor, "batch heads time head_dim"]
    ) -> Float[Tensor, "batch heads time head_dim"]:
        joined = rearrange(vectors, "batch heads time head_dim -> batch time (heads head_dim)")
        split = "batch time (heads head_dim) -> batch heads time head_dim"
        return rearrange(super().forward(joined), split, heads=vectors.shape[1])
