"""Lesson 02: who looks at whom, heads that share keys, and positions as turns."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.attention import attend
from moe_lessons.model.rope import Rotation, rotate


def attention_weights(
    queries: Float[Tensor, "heads time head_dim"], keys: Float[Tensor, "heads time head_dim"]
) -> Float[Tensor, "heads time time"]:
    """How much each position (row) takes from each position (column) up to itself; rows sum to 1."""
    n_heads, time, _ = queries.shape
    one_hot = torch.eye(time).expand(1, n_heads, time, time)  # the package mixes values: one-hot ones show the weights
    return attend(queries[None], keys[None], one_hot)[0]


def repeat_kv(keys: Float[Tensor, "kv_heads time head_dim"], n_heads: int) -> Float[Tensor, "heads time head_dim"]:
    """Give every query head its own copy of the key head that its group shares."""
    return keys.repeat_interleave(n_heads // keys.shape[0], dim=0)


def rotate_pairs(
    vectors: Float[Tensor, "time head_dim"], angles: Float[Tensor, "time pairs"]
) -> Float[Tensor, "time head_dim"]:
    """Turn each pair (entry i, entry i + head_dim / 2) by its angle: (a, b) -> (a cos - b sin, b cos + a sin)."""
    both = torch.cat([angles, angles], dim=-1)
    return rotate(vectors[None, None], Rotation(both.cos(), both.sin()))[0, 0]


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _queries_and_keys(rng: np.random.Generator) -> Iterator[tuple]:
    for shape in ((1, 3, 4), (2, 4, 8), (3, 1, 2), (2, 6, 16)):
        yield _normal(rng, *shape), _normal(rng, *shape)


def _grouped(rng: np.random.Generator) -> Iterator[tuple]:
    for kv_heads, n_heads in ((2, 4), (2, 6), (1, 4), (3, 3)):
        yield _normal(rng, kv_heads, 4, 4), n_heads


def _vectors_and_angles(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0, 2.0, 0.0, 0.0]]), torch.tensor([[torch.pi / 2, 0.0]])
    for time, head_dim in ((3, 4), (5, 8)):
        yield _normal(rng, time, head_dim), _normal(rng, time, head_dim // 2)


def _past(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).tril()


def _products(queries: Tensor, keys: Tensor) -> Tensor:
    return queries @ keys.mT


def _scaled(queries: Tensor, keys: Tensor) -> Tensor:
    return _products(queries, keys) / queries.shape[-1] ** 0.5


def _masked(products: Tensor, visible: Tensor, axis: int = -1) -> Tensor:
    return products.masked_fill(~visible, -torch.inf).softmax(dim=axis)


def _turned(a: Tensor, b: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    return a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()


def _rotate_neighbors(vectors: Tensor, angles: Tensor) -> Tensor:
    pairs = _turned(vectors[:, 0::2], vectors[:, 1::2], angles)
    return torch.stack(pairs, dim=-1).flatten(1)


def _rotate_without_minus(vectors: Tensor, angles: Tensor) -> Tensor:
    first, second = vectors.chunk(2, dim=-1)
    both = torch.cat([angles, angles], dim=-1)
    return vectors * both.cos() + torch.cat([second, first], dim=-1) * both.sin()


def _rotate_in_sequence(vectors: Tensor, angles: Tensor) -> Tensor:
    a, b = vectors.chunk(2, dim=-1)
    a = a * angles.cos() - b * angles.sin()
    return torch.cat([a, b * angles.cos() + a * angles.sin()], dim=-1)


EXERCISES = (
    Exercise(
        name="attention_weights",
        task="Return the weight of every position for every query: softmax of q . k / sqrt(head_dim), row by row. "
        "A position sees itself and what came before it, nothing later.",
        reference=attention_weights,
        inputs=_queries_and_keys,
        mistakes={
            "The scale is missing: divide the products by sqrt(head_dim), or long vectors make the softmax too sharp.": (
                lambda q, k: _masked(_products(q, k), _past(q.shape[1]))
            ),
            "You divide by head_dim; divide by its square root.": (
                lambda q, k: _masked(_products(q, k) / q.shape[-1], _past(q.shape[1]))
            ),
            "The mask is missing: a position must not see later ones.": lambda q, k: _scaled(q, k).softmax(dim=-1),
            "You mask after the softmax, so the rows no longer sum to 1; mask the scores before it.": (
                lambda q, k: _scaled(q, k).softmax(dim=-1) * _past(q.shape[1])
            ),
            "You mask with 0, but e^0 is 1, so later positions keep a weight; mask with -inf.": (
                lambda q, k: _scaled(q, k).masked_fill(~_past(q.shape[1]), 0.0).softmax(dim=-1)
            ),
            "The softmax runs over the queries; each row belongs to one query and must sum to 1 over the keys (dim=-1).": (
                lambda q, k: _masked(_scaled(q, k), _past(q.shape[1]), axis=-2)
            ),
            "Your mask is the wrong way round: each position sees the future and not its past.": (
                lambda q, k: _masked(_scaled(q, k), _past(q.shape[1]).mT)
            ),
            "Your mask also hides each position from itself, so the first row is empty; keep the diagonal.": (
                lambda q, k: _masked(_scaled(q, k), torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).tril(-1))
            ),
            "Rows and columns are exchanged: queries make the rows, so multiply queries by keys transposed.": (
                lambda q, k: _masked(_scaled(q, k).mT, _past(q.shape[1]))
            ),
        },
        success="The lower triangle is all there is to 'a language model cannot see the future'.",
        difficulty=2,
        minutes=12,
        differentiable=True,
        sources=("moe_lessons.model.attention.attend",),
    ),
    Exercise(
        name="repeat_kv",
        task="Repeat the key heads so that every one of n_heads query heads has one. "
        "Neighboring query heads share a key head: with 2 key heads and 4 query heads, the order is 0 0 1 1.",
        reference=repeat_kv,
        inputs=_grouped,
        mistakes={
            "That gives 0 1 0 1, but neighbors share a key head: 0 0 1 1. It is repeat_interleave, not repeat.": (
                lambda keys, n_heads: keys.repeat(n_heads // keys.shape[0], 1, 1)
            ),
            "You repeat positions, not heads; the heads are dimension 0.": (
                lambda keys, n_heads: keys.repeat_interleave(n_heads // keys.shape[0], dim=1)
            ),
            "Each key head is repeated n_heads times; n_heads / kv_heads times is enough.": (
                lambda keys, n_heads: keys.repeat_interleave(n_heads, dim=0)
            ),
        },
        success="Only the key heads are kept in the cache: this repetition costs no memory that lasts.",
        difficulty=1,
        minutes=5,
        differentiable=True,
        sources=("moe_lessons.model.attention.attend",),
    ),
    Exercise(
        name="rotate_pairs",
        task="Turn each pair of entries (i, i + head_dim / 2) of every vector by its angle, counterclockwise. "
        "A pair (a, b) becomes (a cos - b sin, b cos + a sin).",
        reference=rotate_pairs,
        inputs=_vectors_and_angles,
        mistakes={
            "You turn the other way: the sign of both sines is reversed.": lambda vectors, angles: rotate_pairs(
                vectors, -angles
            ),
            "You pair neighbors (0, 1), (2, 3), as the paper does; this layout pairs entry i with i + head_dim / 2.": (
                _rotate_neighbors
            ),
            "A minus is missing: without it the lengths change, and it is no turn.": _rotate_without_minus,
            "The second line uses the first entry after it was turned; keep the old a until b is done.": (
                _rotate_in_sequence
            ),
        },
        success="A turn keeps lengths, and q . k then depends on the distance between the positions only.",
        difficulty=2,
        minutes=10,
        differentiable=True,
        sources=("moe_lessons.model.rope.rotate",),
    ),
)
