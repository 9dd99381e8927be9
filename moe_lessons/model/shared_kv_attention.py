"""Attention with one vector a token that is every head's key and value (DeepSeek-V4, arXiv:2606.19348, section 2.3).

Each token sees a window of the last tokens; in most layers also entries that stand for many tokens before.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import ModelConfig
from moe_lessons.model.compressed_cache import CompressedCache
from moe_lessons.model.compression import Compressor, ripe
from moe_lessons.model.entry_indexer import EntryIndexer
from moe_lessons.model.grouped_output import GroupedOutput
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.partial_rotation import inverse, turn_last
from moe_lessons.model.reading import Reading
from moe_lessons.model.rope import Rotation
from moe_lessons.model.shaped_attention import visible as within
from moe_lessons.model.sinks import shares_beside_sinks


class SharedKVAttention(nn.Module):
    """Multi-query attention (arXiv:1911.02150) whose values are its keys, turned back after they are gathered."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        sizes, dim, eps = config.shared_kv_attention, config.dim, config.norm_eps
        self.layer, self.window, self.eps = layer, sizes.window, eps
        self.n_heads, self.scale = sizes.n_heads, sizes.head_dim**-0.5
        self.compress_query = nn.Linear(dim, sizes.q_lora_rank, bias=False)
        self.query_latent_norm = RMSNorm(sizes.q_lora_rank, eps)
        self.query = nn.Linear(sizes.q_lora_rank, sizes.n_heads * sizes.head_dim, bias=False)
        self.key_value = nn.Linear(dim, sizes.head_dim, bias=False)
        self.key_value_norm = RMSNorm(sizes.head_dim, eps)
        self.sinks = nn.Parameter(torch.zeros(sizes.n_heads)) if sizes.sinks else None
        kind, rate = sizes.kind(layer), sizes.compression.rate(layer) if sizes.compression else 0
        sparse = kind == "sparse"
        self.entries = Compressor(dim, sizes.head_dim, rate, sparse, sizes, eps) if rate else None
        self.indexer = EntryIndexer(dim, sizes, eps) if sparse else None
        self.output = GroupedOutput(sizes.n_heads, sizes.head_dim, sizes.output_groups, sizes.output_rank, dim)

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], reading: Reading, cache: CompressedCache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        by = reading.near if self.entries is None or reading.far is None else reading.far
        latent = self.query_latent_norm(self.compress_query(hidden))
        queries = rearrange(self.query(latent), "batch new (heads size) -> batch heads new size", heads=self.n_heads)
        queries = turn_last(F.rms_norm(queries, queries.shape[-1:], eps=self.eps), by)
        keys = turn_last(self.key_value_norm(self.key_value(hidden))[:, None], by)[:, 0]
        if cache is not None:
            keys = cache.near(self.layer, keys)
        visible = within(hidden.shape[1], keys.shape[1], self.window, hidden.device)[None]
        if self.entries is not None:
            entries, chosen = self.far(hidden, latent, by, reading.start, cache)
            keys = torch.cat([keys, entries], dim=1)
            visible = torch.cat([visible.expand(len(chosen), -1, -1), chosen], dim=-1)
        scores = einsum(queries, keys, "batch heads new size, batch time size -> batch heads new time") * self.scale
        shares = shares_beside_sinks(scores.masked_fill(~visible[:, None], float("-inf")), self.sinks)
        mixed = einsum(shares, keys, "batch heads new time, batch time size -> batch heads new size")
        return self.output(turn_last(mixed, inverse(by)))

    def far(
        self,
        hidden: Float[Tensor, "batch new dim"],
        latent: Float[Tensor, "batch new latent"],
        by: Rotation,
        start: int,
        cache: CompressedCache | None,
    ) -> tuple[Float[Tensor, "batch entries size"], Bool[Tensor, "some new entries"]]:
        """All entries, and which of them each token attends to: for each sequence, or for all alike."""
        assert self.entries is not None
        room = None if cache is None else cache.pool(self.layer, "entries")
        entries = self.entries(hidden, room)
        visible = ripe(start, hidden.shape[1], self.entries.rate, entries.shape[1], hidden.device)
        chosen = None
        if self.indexer is not None:
            room = None if cache is None else cache.pool(self.layer, "index")
            chosen = self.indexer(hidden, latent, by, visible, room)
        return entries, visible[None] if chosen is None else chosen
