"""Lesson 16: an indexer's score, what a token may read, and from which length choosing pays."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise


def index_score(
    queries: Float[Tensor, "heads index"], keys: Float[Tensor, "time index"], weights: Float[Tensor, " heads"]
) -> Float[Tensor, " time"]:
    """How much each key is worth to one token: the sum over heads of weight * relu(q . k)."""
    return (keys @ queries.T).relu() @ weights


def entries_read(position: int, rate: int, top_k: int | None) -> int:
    """Entries that the token at `position` (from 0) reads: whole ones, `top_k` of them at most."""
    whole = (position + 1) // rate
    return whole if top_k is None else min(whole, top_k)


def pays_from(by_attention: int, by_indexer: int, top_k: int) -> int | None:
    """The smallest number of keys at which scoring all and reading `top_k` takes fewer products than reading all."""
    if by_indexer >= by_attention:
        return None
    return top_k * by_attention // (by_attention - by_indexer) + 1


def _scores(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, -3.0], [-1.0, 4.0], [1.0, 1.0]]), torch.ones(2)
    for heads, time, index in ((3, 7, 4), (1, 5, 8), (4, 6, 2)):
        parts = ((heads, index), (time, index), (heads,))
        yield tuple(torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in parts)


def _positions(rng: np.random.Generator) -> Iterator[tuple]:
    yield from [(0, 4, 8), (2, 4, 8), (3, 4, 8), (4, 4, 8), (127, 128, None), (126, 128, None), (99_999, 128, None)]
    yield from [(99_999, 4, 1024), (4095, 4, 1024), (4094, 4, 1024)]
    for _ in range(4):
        yield int(rng.integers(0, 1000)), int(rng.integers(2, 20)), int(rng.integers(1, 40))


def _prices(rng: np.random.Generator) -> Iterator[tuple]:
    yield from [(139_264, 8_256, 2048), (100, 50, 10), (80, 68, 8), (64, 64, 16), (10, 12, 4), (4352, 132, 256)]
    for _ in range(4):
        by_indexer = int(rng.integers(1, 100))
        yield by_indexer + int(rng.integers(1, 1000)), by_indexer, int(rng.integers(1, 500))


EXERCISES = (
    Exercise(
        name="index_score",
        task="Find the bug: return the score of each key for one token, the sum over heads of weight * relu(q . k).",
        reference=index_score,
        inputs=_scores,
        mistakes={
            "ReLU comes after the sum: a head that disagrees takes away what another one found; apply it to each "
            "head's product.": lambda queries, keys, weights: ((keys @ queries.T) @ weights).relu(),
            "There is no ReLU; then all heads together are one linear map, and several are no more than one.": (
                lambda queries, keys, weights: (keys @ queries.T) @ weights
            ),
            "The weights are missing: every head counts alike.": (
                lambda queries, keys, weights: (keys @ queries.T).relu().sum(dim=-1)
            ),
            "ReLU is on the weighted product: a head with a negative weight then says nothing, or the opposite.": (
                lambda queries, keys, weights: ((keys @ queries.T) * weights).relu().sum(dim=-1)
            ),
            "You divide by a root, as the package does; no choice depends on it, and the task's sum has none.": (
                lambda queries, keys, weights: index_score(queries, keys, weights) * queries.numel() ** -0.5
            ),
            "This is a softmax over keys; scores are compared and never add up to 1.": (
                lambda queries, keys, weights: index_score(queries, keys, weights).softmax(dim=-1)
            ),
        },
        success="ReLU makes a head count only where it agrees, so several heads can each look for something else.",
        difficulty=1,
        minutes=5,
        differentiable=True,
        sources=("moe_lessons.model.indexer.index_scores",),
    ),
    Exercise(
        name="entries_read",
        task="Return how many entries the token at `position` (the first is 0) reads. An entry stands for `rate` "
        "tokens from the beginning on and may be read by the last of them and all later ones. `top_k` of them at most "
        "are read; None: all.",
        reference=entries_read,
        inputs=_positions,
        mistakes={
            "One token late: the token that completes a group may read its entry at once.": (
                lambda position, rate, top_k: entries_read(position - 1, rate, top_k)
            ),
            "The future leaks: the group of this token is not whole yet, and its entry holds later tokens.": (
                lambda position, rate, top_k: min(-(-(position + 1) // rate), top_k or position + 1)
            ),
            "These are all entries that there are; an indexer picks top_k of them at most.": (
                lambda position, rate, top_k: (position + 1) // rate
            ),
            "top_k is the most, and at the beginning there are fewer entries.": lambda position, rate, top_k: (
                top_k or (position + 1) // rate
            ),
            "You count the tokens that the entries stand for; each is read as one.": lambda position, rate, top_k: (
                entries_read(position, rate, top_k) * rate
            ),
        },
        success="Off by one in the first direction costs a little, in the other one it is a model that cheats.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.compression.ripe",),
    ),
    Exercise(
        name="pays_from",
        task="Full attention makes `by_attention` products for each key that it reads. With an indexer, every key "
        "costs `by_indexer` products, and attention reads `top_k` keys. Return the smallest number of keys at which "
        "the indexer makes fewer products in all; None where it never does.",
        reference=pays_from,
        inputs=_prices,
        mistakes={
            "The indexer is not free: it scores every key, the chosen ones too.": (
                lambda by_attention, by_indexer, top_k: None if by_indexer >= by_attention else top_k + 1
            ),
            "There both cost alike or a fraction is cut off; fewer are needed from the next whole number on.": (
                lambda by_attention, by_indexer, top_k: (
                    None if by_indexer >= by_attention else top_k * by_attention // (by_attention - by_indexer)
                )
            ),
            "Rounded up: where the quotient is a whole number, both cost alike there, and fewer comes one later.": (
                lambda by_attention, by_indexer, top_k: (
                    None if by_indexer >= by_attention else -(-top_k * by_attention // (by_attention - by_indexer))
                )
            ),
            "An indexer as dear as attention, or dearer, never pays; return None there.": (
                lambda by_attention, by_indexer, top_k: top_k * by_attention // max(1, by_attention - by_indexer) + 1
            ),
            "You divide by attention's price; each key that is left out saves attention's price less the indexer's.": (
                lambda by_attention, by_indexer, top_k: (
                    None if by_indexer >= by_attention else top_k * (by_attention + by_indexer) // by_attention + 1
                )
            ),
        },
        success="Published sizes pay soon behind top_k itself, because an indexer's key costs a seventeenth there.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.accounting.indexer.indexer_products",),
    ),
)
