"""The lightning indexer over entries: which few of a sparse layer's entries each token attends to.

DeepSeek-V4, arXiv:2606.19348, section 2.3: its keys are pooled as the entries are, by a small compressor of its own.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.long_texts import CompressionConfig, SharedKVAttentionConfig
from moe_lessons.model.compression import Compressor
from moe_lessons.model.indexer import best_keys, index_scores, seen
from moe_lessons.model.partial_rotation import turn_last
from moe_lessons.model.pool_room import PoolRoom
from moe_lessons.model.rope import Rotation


class EntryIndexer(nn.Module):
    """Scores only choose, as the Indexer's do: a model's own loss leaves it as it is.

    Raises ValueError for a compression without an indexer.
    """

    def __init__(self, dim: int, attention: SharedKVAttentionConfig, norm_eps: float) -> None:
        super().__init__()
        compression = attention.compression
        if compression is None or compression.indexer is None:
            raise ValueError("compression.indexer is None, but entries shall be picked; give it")
        sizes: CompressionConfig = compression
        indexer = compression.indexer
        self.n_heads, self.top_k = indexer.n_heads, indexer.top_k
        self.query = nn.Linear(attention.q_lora_rank, indexer.n_heads * indexer.head_dim, bias=False)
        self.keys = Compressor(dim, indexer.head_dim, sizes.sparse_rate, True, attention, norm_eps)
        self.head_weights = nn.Linear(dim, indexer.n_heads, bias=False)

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
        queries = rearrange(self.query(latent), "batch new (heads index) -> batch heads new index", heads=self.n_heads)
        weights = F.linear(hidden.float(), self.head_weights.weight.float())
        scores = index_scores(turn_last(queries, by), keys, weights)
        return seen(best_keys(scores, visible, self.top_k), visible)
