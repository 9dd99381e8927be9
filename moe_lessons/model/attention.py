"""Causal grouped-query attention (Ainslie et al., arXiv:2305.13245) with rotary positions."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import ModelConfig
from moe_lessons.model.cache import KVCache
from moe_lessons.model.norm import JointRMSNorm, RMSNorm
from moe_lessons.model.rope import Rotation, rotate


class Projections(NamedTuple):
    """What attention compares (queries with keys) and what it passes on (values)."""

    queries: Float[Tensor, "batch heads time head_dim"]
    keys: Float[Tensor, "batch kv_heads time head_dim"]
    values: Float[Tensor, "batch kv_heads time head_dim"]


class Attention(nn.Module):
    """Each token gathers the values of the tokens up to itself, weighted by how well query and key agree."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        heads = config.grouped_attention
        self.layer = layer
        self.n_heads, self.n_kv_heads, self.head_dim = heads.sizes
        self.query = nn.Linear(config.dim, self.n_heads * self.head_dim, bias=False)
        self.key = nn.Linear(config.dim, self.n_kv_heads * self.head_dim, bias=False)
        self.value = nn.Linear(config.dim, self.n_kv_heads * self.head_dim, bias=False)
        self.output = nn.Linear(self.n_heads * self.head_dim, config.dim, bias=False)
        self.query_norm = RMSNorm(self.head_dim, config.norm_eps) if heads.qk_norm else nn.Identity()
        self.key_norm = RMSNorm(self.head_dim, config.norm_eps) if heads.qk_norm else nn.Identity()

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], by: Rotation, cache: KVCache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        queries, keys, values = self.project(hidden, by)
        if cache is not None:
            keys, values = cache.update(self.layer, keys, values)
        mixed = attend(queries, keys, values)
        return self.output(rearrange(mixed, "batch heads time head_dim -> batch time (heads head_dim)"))

    def project(self, hidden: Float[Tensor, "batch time dim"], by: Rotation) -> Projections:
        """Queries, keys and values by head, the first two turned by their positions."""
        split = "batch time (heads head_dim) -> batch heads time head_dim"
        queries = rearrange(self.query(hidden), split, head_dim=self.head_dim)
        keys = rearrange(self.key(hidden), split, head_dim=self.head_dim)
        values = rearrange(self.value(hidden), split, head_dim=self.head_dim)
        return Projections(rotate(self.query_norm(queries), by), rotate(self.key_norm(keys), by), values)


class JointNormAttention(Attention):
    """The same with queries and keys normalized over all heads together (OLMoE, arXiv:2409.02060)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.query_norm = JointRMSNorm(self.n_heads * self.head_dim, config.norm_eps)
        self.key_norm = JointRMSNorm(self.n_kv_heads * self.head_dim, config.norm_eps)


def attend(
    queries: Float[Tensor, "batch heads new head_dim"],
    keys: Float[Tensor, "batch kv_heads time head_dim"],
    values: Float[Tensor, "batch kv_heads time head_dim"],
) -> Float[Tensor, "batch heads new head_dim"]:
    """softmax(q . k / sqrt(head_dim)) v over the past; the queries are the last `new` of `time` positions."""
    new, time = queries.shape[2], keys.shape[2]
    if keys.shape[1] != queries.shape[1]:
        # Several query heads share one key-value head; the fused CPU kernel wants them side by side.
        share = queries.shape[1] // keys.shape[1]
        keys, values = keys.repeat_interleave(share, dim=1), values.repeat_interleave(share, dim=1)
    if new == time:
        return F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    if new == 1:
        return F.scaled_dot_product_attention(queries, keys, values)
    visible = torch.ones(new, time, dtype=torch.bool, device=queries.device).tril(time - new)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=visible)


def attention_weights(
    queries: Float[Tensor, "batch heads time head_dim"], keys: Float[Tensor, "batch kv_heads time head_dim"]
) -> Float[Tensor, "batch heads time time"]:
    """What `attend` multiplies the values with, written out: rows are queries and sum to 1, the future is 0."""
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
