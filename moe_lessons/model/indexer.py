"""The lightning indexer: small heads that find, for each token, the few keys worth attending to.

DeepSeek-V3.2 (arXiv:2512.02556, section 2.1). What it computes for a pair of tokens is a fraction of what attention
does, so attention's own cost no longer grows with the text.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.rope import Rotation, rotate
from moe_lessons.model.router import choose

NORM_EPS = 1e-6  # of the norm on its keys


class Finder(nn.Module):
    """Small heads whose scores say which few keys are worth attending to.

    The scores only choose, and a choice has no slope: a model's own loss leaves a finder as it is, and attention asks
    it without gradients. What it learns from is another loss (`moe_lessons.training.indexer`).
    """

    def __init__(self, dim: int, query_dim: int, config: IndexerConfig) -> None:
        super().__init__()
        self.n_heads, self.top_k = config.n_heads, config.top_k
        self.query = nn.Linear(query_dim, config.n_heads * config.head_dim, bias=False)
        self.head_weights = nn.Linear(dim, config.n_heads, bias=False)

    def scores(
        self,
        hidden: Float[Tensor, "batch new dim"],
        latent: Float[Tensor, "batch new latent"],
        keys: Float[Tensor, "batch time index"],
        by: Rotation,
    ) -> Float[Tensor, "batch new time"]:
        """How much each of `time` keys is worth to each new token; `latent` is what its queries are made from."""
        queries = rearrange(self.query(latent), "batch new (heads index) -> batch heads new index", heads=self.n_heads)
        weights = F.linear(hidden.float(), self.head_weights.weight.float())
        return index_scores(self.turned(queries, by), keys, weights)

    def turned(
        self, vectors: Float[Tensor, "batch heads new index"], by: Rotation
    ) -> Float[Tensor, "batch heads new index"]:
        """Queries or keys, the part that knows its position turned by it."""
        raise NotImplementedError


class Indexer(Finder):
    """Scores of tokens: the first `rope_dim` numbers of its queries and keys are turned."""

    def __init__(self, dim: int, query_dim: int, rope_dim: int, config: IndexerConfig) -> None:
        super().__init__(dim, query_dim, config)
        self.rope_dim = rope_dim
        self.key = nn.Linear(dim, config.head_dim, bias=False)
        self.key_norm = nn.LayerNorm(config.head_dim, eps=NORM_EPS)

    def keys(self, hidden: Float[Tensor, "batch new dim"], by: Rotation) -> Float[Tensor, "batch new index"]:
        """What is kept of each token."""
        return self.turned(self.key_norm(self.key(hidden))[:, None], by)[:, 0]

    def turned(
        self, vectors: Float[Tensor, "batch heads new index"], by: Rotation
    ) -> Float[Tensor, "batch heads new index"]:
        rope, nope = vectors.split([self.rope_dim, vectors.shape[-1] - self.rope_dim], dim=-1)
        return torch.cat([rotate(rope, by), nope], dim=-1)


def index_scores(
    queries: Float[Tensor, "batch heads new index"],
    keys: Float[Tensor, "batch time index"],
    weights: Float[Tensor, "batch new heads"],
) -> Float[Tensor, "batch new time"]:
    """Sum over heads of weight * relu(q . k), in float32 (arXiv:2512.02556, equation 1).

    Divided by the roots of heads and size, which no choice depends on.
    """
    heads, size = queries.shape[1], queries.shape[-1]
    products = einsum(queries.float(), keys.float(), "batch heads new index, batch time index -> batch heads new time")
    weights = weights * (heads * size) ** -0.5
    return einsum(products.relu(), weights, "batch heads new time, batch new heads -> batch new time")


def best_keys(
    scores: Float[Tensor, "batch new time"], visible: Bool[Tensor, "new time"], top_k: int
) -> Int[Tensor, "batch new chosen"]:
    """The places of each token's `top_k` best keys, of all where there are fewer; a tie goes to the earlier one.

    Where a token sees fewer than are asked for, some of its places are in the future. Raises ValueError as `choose`.
    """
    scores = scores.masked_fill(~visible, float("-inf"))
    best = choose(scores.flatten(0, 1), min(top_k, scores.shape[-1]))
    return best.view(*scores.shape[:2], best.shape[-1])


def seen(places: Int[Tensor, "batch new chosen"], visible: Bool[Tensor, "new time"]) -> Bool[Tensor, "batch new time"]:
    """Which keys each token attends to: those chosen, apart from the future."""
    chosen = torch.zeros(*places.shape[:2], visible.shape[-1], dtype=torch.bool, device=places.device)
    return chosen.scatter(-1, places, True) & visible
