"""The lightning indexer over entries: which few of a sparse layer's entries each token attends to.

DeepSeek-V4, arXiv:2606.19348, section 2.3.1: its keys are pooled as the entries are, by a small compressor of its own.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.compression import Compressor
from moe_lessons.model.indexer import Finder, best_keys, seen
from moe_lessons.model.partial_rotation import turn_last
from moe_lessons.model.pool_room import PoolRoom
from moe_lessons.model.rope import Rotation


class EntryIndexer(Finder):
    """Scores of entries: the last numbers of its queries are turned.

    Raises ValueError for a compression without an indexer.
    """

    def __init__(self, dim: int, attention: SharedKVAttentionConfig, norm_eps: float) -> None:
        compression = attention.compression
        if compression is None or compression.indexer is None:
            raise ValueError("compression.indexer is None, but entries shall be picked; give it")
        indexer = compression.indexer
        super().__init__(dim, attention.q_lora_rank, indexer)
        self.keys = Compressor(dim, indexer.head_dim, compression.sparse_rate, True, attention, norm_eps)

    @torch.no_grad()
    def forward(
        self,
        hidden: Float[Tensor, "batch new dim"],
        latent: Float[Tensor, "batch new latent"],
        by: Rotation,
        visible: Bool[Tensor, "new entries"],
        room: PoolRoom | None = None,
    ) -> Bool[Tensor, "batch new entries"] | None:
        """Which of the visible entries each token attends to; None: all of them, for there are no more than top_k."""
        keys = self.keys(hidden, room)
        if keys.shape[1] <= self.top_k:
            return None
        return seen(best_keys(self.scores(hidden, latent, keys, by), visible, self.top_k), visible)

    def turned(
        self, vectors: Float[Tensor, "batch heads new index"], by: Rotation
    ) -> Float[Tensor, "batch heads new index"]:
        return turn_last(vectors, by)
