"""Causal grouped-query attention (Ainslie et al., arXiv:2305.13245) with rotary positions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import ModelConfig
from moe_lessons.model.cache import KVCache
from moe_lessons.model.norm import JointRMSNorm, RMSNorm
from moe_lessons.model.rope import Rotation, rotate

# For few tokens and small matrices, beginning an operation takes longer than doing it.
FEW = 8  # tokens
SMALL = 1 << 20  # numbers in the three matrices of a layer


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
        self.stacked: Tensor | None = None  # the matrices of query, key and value in one, inside `stacked_products`
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
        mixed = attend(queries, keys, values) if keys.shape[2] == hidden.shape[1] else go_on(queries, keys, values)
        return self.output(mixed.transpose(1, 2).flatten(2))  # batch time (heads head_dim)

    def project(self, hidden: Float[Tensor, "batch time dim"], by: Rotation) -> Projections:
        """Queries, keys and values by head, the first two turned by their positions."""
        if self.stacked is None:
            parts = (self._by_head(product(hidden)) for product in (self.query, self.key, self.value))
        else:
            sizes = [self.n_heads, self.n_kv_heads, self.n_kv_heads]
            parts = self._by_head(F.linear(hidden, self.stacked)).split_with_sizes(sizes, dim=1)
        queries, keys, values = parts
        queries, keys = self.query_norm(queries), self.key_norm(keys)
        if hidden.shape[1] <= FEW:  # both in one turn
            both = rotate(torch.cat([queries, keys], dim=1), by)
            queries, keys = both.split_with_sizes([self.n_heads, self.n_kv_heads], dim=1)
            return Projections(queries, keys, values)
        return Projections(rotate(queries, by), rotate(keys, by), values)

    def _by_head(self, vectors: Float[Tensor, "batch time _"]) -> Float[Tensor, "batch heads time head_dim"]:
        # einops would say it better, but for a single token it takes as long as the product before it.
        batch, time, width = vectors.shape
        return vectors.view(batch, time, width // self.head_dim, self.head_dim).transpose(1, 2)


@contextmanager
def stacked_products(model: nn.Module) -> Iterator[None]:
    """Inside the block, which must leave the weights alone, a small layer's queries, keys and values are one product.

    Layers whose products someone watches, or has replaced, are left as they are; so are large ones, where it would
    save little and copy much.
    """
    layers = [module for module in model.modules() if isinstance(module, Attention) and _may_be_stacked(module)]
    for layer in layers:
        layer.stacked = torch.cat([part.weight.detach() for part in (layer.query, layer.key, layer.value)])
    try:
        yield
    finally:
        for layer in layers:
            layer.stacked = None


def _may_be_stacked(layer: Attention) -> bool:
    parts = (layer.query, layer.key, layer.value)
    plain = all(
        type(part) is nn.Linear and part.bias is None and not (part._forward_hooks or part._forward_pre_hooks)
        for part in parts
    )
    return plain and sum(part.weight.numel() for part in parts) <= SMALL


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


def go_on(
    queries: Float[Tensor, "batch heads new head_dim"],
    keys: Float[Tensor, "batch kv_heads time head_dim"],
    values: Float[Tensor, "batch kv_heads time head_dim"],
) -> Float[Tensor, "batch heads new head_dim"]:
    """What `attend` returns where new < time, without a copy of the past for each query head.

    Heads that share keys and values are asked like so many more positions of one head.
    """
    batch, heads, new, head_dim = queries.shape
    kv_heads, time = keys.shape[1:3]
    shared = queries.reshape(batch, kv_heads, heads // kv_heads * new, head_dim)
    visible = None
    if new > 1:
        visible = torch.ones(new, time, dtype=torch.bool, device=queries.device).tril(time - new)
        visible = visible.repeat(heads // kv_heads, 1)
    return F.scaled_dot_product_attention(shared, keys, values, attn_mask=visible).reshape(queries.shape)


def attention_weights(
    queries: Float[Tensor, "batch heads time head_dim"], keys: Float[Tensor, "batch kv_heads time head_dim"]
) -> Float[Tensor, "batch heads time time"]:
    """What `attend` multiplies the values with, written out: rows are queries and sum to 1, the future is 0."""
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(future, float("-inf")).softmax(dim=-1)
