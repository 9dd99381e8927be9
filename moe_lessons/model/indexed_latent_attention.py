"""Latent attention over the few tokens that an indexer picks (DeepSeek-V3.2, arXiv:2512.02556, section 2.1)."""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.config import ModelConfig
from moe_lessons.model.cache import IndexedLatentCache
from moe_lessons.model.indexer import Indexer, best_keys, seen
from moe_lessons.model.latent_attention import LatentAttention, Latents, past
from moe_lessons.model.rope import Rotation


class IndexedLatentAttention(LatentAttention):
    """Each token attends to `indexer.top_k` tokens at most; the queries of both are made from one latent.

    A text of no more tokens is read as by LatentAttention. Raises ValueError for a configuration without an indexer.
    """

    def __init__(self, config: ModelConfig, layer: int, absorb: bool | None = None) -> None:
        super().__init__(config, layer, absorb)
        sizes = config.latent_attention
        if sizes.indexer is None or sizes.q_lora_rank is None:
            raise ValueError("attention.indexer is None, but tokens shall be picked: give it, or use LatentAttention")
        self.indexer = Indexer(config.dim, sizes.q_lora_rank, sizes.qk_rope_head_dim, sizes.indexer)

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], by: Rotation, cache: IndexedLatentCache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        latent = self.query_latent_norm(self.compress_query(hidden))
        queries, kept = self.by_head(self.query(latent), by), self.latents(hidden, by)
        with torch.no_grad():
            index_keys = self.indexer.keys(hidden, by)
        if cache is not None:
            latents, rope_keys, index_keys = cache.update(self.layer, *kept, index_keys)
            kept = Latents(latents, rope_keys)
        new, time = hidden.shape[1], index_keys.shape[1]
        visible = None
        if time > self.indexer.top_k:
            before = past(new, time, hidden.device)
            with torch.no_grad():
                places = best_keys(self.indexer.scores(hidden, latent, index_keys, by), before, self.indexer.top_k)
            if new == 1:
                kept = gather(kept, places[:, 0])
            else:
                visible = seen(places, before)[:, None]
        absorb = self.absorb
        if absorb is None:
            absorb = cache is not None and self.absorbing_is_cheaper(new, kept.latents.shape[1])
        mixed = self.absorbed(queries, kept, visible) if absorb else self.unpacked(queries, kept, visible)
        return self.output(rearrange(mixed, "batch heads new value -> batch new (heads value)"))


def gather(kept: Latents, places: Int[Tensor, "batch chosen"]) -> Latents:
    """What is kept of the chosen tokens alone."""
    return Latents(*(part.gather(1, places[..., None].expand(-1, -1, part.shape[-1])) for part in kept))
