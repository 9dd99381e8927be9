"""Attention's output in two steps: a small matrix for each group of heads, then one for all.

DeepSeek-V4 (arXiv:2606.19348, section 2.3.1).
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn


class GroupedOutput(nn.Module):
    """Wide heads make a matrix from all of them to `dim` larger than the rest of the layer; two small ones are not."""

    def __init__(self, n_heads: int, head_dim: int, groups: int, rank: int, dim: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.empty(groups, rank, n_heads // groups * head_dim))
        self.outer = nn.Linear(groups * rank, dim, bias=False)

    def forward(self, mixed: Float[Tensor, "batch heads new head_dim"]) -> Float[Tensor, "batch new dim"]:
        by_group = rearrange(
            mixed, "batch (groups heads) new size -> batch new groups (heads size)", groups=len(self.inner)
        )
        inner = einsum(by_group, self.inner, "batch new groups wide, groups rank wide -> batch new groups rank")
        return self.outer(inner.flatten(2))
