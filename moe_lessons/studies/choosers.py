"""Others in the indexer's place: who chooses the keys that attention reads, so that a trained indexer can be judged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.model.indexed_latent_attention import IndexedLatentAttention
from moe_lessons.model.indexer import best_keys, seen
from moe_lessons.model.latent_attention import past
from moe_lessons.model.rope import Rotation
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.notes import Haystack
from moe_lessons.training.indexer import mean_shares


class Chooser(nn.Module):
    """Scores keys in an indexer's place; this one asks an indexer."""

    def __init__(self, indexer: nn.Module | None = None) -> None:
        super().__init__()
        self.asked, self.top_k = [indexer], 0  # in a list, so that its parameters are not this module's

    def keys(self, hidden: Float[Tensor, "batch new dim"], by: Rotation) -> Float[Tensor, "batch new index"]:
        """What its scores are made from."""
        return self.asked[0].keys(hidden, by)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]

    def scores(
        self, hidden: Float[Tensor, "batch new dim"], latent: Tensor, keys: Tensor, by: Rotation
    ) -> Float[Tensor, "batch new time"]:
        """The higher, the sooner chosen."""
        return self.asked[0].scores(hidden, latent, keys, by)  # pyright: ignore

    @contextmanager
    def in_place_of_indexer(self, layer: IndexedLatentAttention, top_k: int) -> Iterator[None]:
        """Inside the block, the layer reads the `top_k` keys that this one likes best."""
        before, self.top_k = layer.indexer, top_k
        layer.indexer = self  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            layer.indexer = before


class Latest(Chooser):
    """The last keys: a sliding window."""

    def keys(self, hidden: Tensor, by: Rotation) -> Tensor:
        return hidden[..., :1]

    def scores(self, hidden: Tensor, latent: Tensor, keys: Tensor, by: Rotation) -> Tensor:
        return torch.arange(keys.shape[1], dtype=torch.float32).expand(len(hidden), hidden.shape[1], -1)


class Random(Latest):
    """Keys drawn by lot."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def scores(self, hidden: Tensor, latent: Tensor, keys: Tensor, by: Rotation) -> Tensor:
        return torch.rand(len(hidden), hidden.shape[1], keys.shape[1], generator=self.generator)


class Oracle(Chooser):
    """The keys that full attention looks at most, which nobody knows who has not computed all of it."""

    def __init__(self, layer: IndexedLatentAttention) -> None:
        super().__init__()
        self.layer = [layer]

    def keys(self, hidden: Tensor, by: Rotation) -> Tensor:
        self.shares = mean_shares(self.layer[0], hidden, by)
        return hidden[..., :1]

    def scores(self, hidden: Tensor, latent: Tensor, keys: Tensor, by: Rotation) -> Tensor:
        return self.shares


@torch.no_grad()
def mass_read(
    model: Transformer, layer: IndexedLatentAttention, chooser: Chooser, top_ks: Sequence[int], hay: Haystack
) -> list[float]:
    """The share of full attention, in the mean over heads and questions, on the keys that `chooser` takes of each many.

    The model is asked with its own indexer in place.
    """
    caught: list[tuple[Tensor, Rotation]] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[:2]))
    model(hay.tokens)
    handle.remove()
    hidden, by = caught[0]
    time, asked = hidden.shape[1], hay.answers.shape[1]
    before, shares = past(time, time, hidden.device)[-asked:], mean_shares(layer, hidden, by)[:, -asked:]
    latent = layer.query_latent_norm(layer.compress_query(hidden))
    scores = chooser.scores(hidden, latent, chooser.keys(hidden, by), by)[:, -asked:]
    chosen = [seen(best_keys(scores, before, top_k), before) for top_k in top_ks]
    return [float((shares * each).sum(dim=-1).mean()) for each in chosen]
