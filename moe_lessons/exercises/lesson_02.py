"""Lesson 02: who looks at whom, what must be remembered, and positions as turns."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model import attention
from moe_lessons.model.rope import Rotation, rotate


def attention_weights(
    queries: Float[Tensor, "heads time head_dim"], keys: Float[Tensor, "heads time head_dim"]
) -> Float[Tensor, "heads time time"]:
    """How much each position (row) takes from each position (column) up to itself; rows sum to 1."""
    return attention.attention_weights(queries[None], keys[None])[0]


def window_weights(
    queries: Float[Tensor, "heads time head_dim"], keys: Float[Tensor, "heads time head_dim"], window: int
) -> Float[Tensor, "heads time time"]:
    """As `attention_weights`, but a position sees only the last `window` positions, itself included."""
    return _masked(_scaled(queries, keys), _band(queries.shape[1], window))


def cache_bytes(n_layers: int, n_heads: int, n_kv_heads: int, head_dim: int, tokens: int, bytes_per_number: int) -> int:
    """Size of the key-value cache of one conversation."""
    return 2 * n_layers * n_kv_heads * head_dim * tokens * bytes_per_number


def rotate_neighbors(
    vectors: Float[Tensor, "time head_dim"], angles: Float[Tensor, "time pairs"]
) -> Float[Tensor, "time head_dim"]:
    """Turn each pair of neighbors (entry 2i, entry 2i + 1) by its angle: (a, b) -> (a cos - b sin, b cos + a sin)."""
    return torch.stack(_turned(vectors[:, 0::2], vectors[:, 1::2], angles), dim=-1).flatten(1)


def _queries_and_keys(rng: np.random.Generator) -> Iterator[tuple]:
    for shape in ((1, 3, 4), (2, 4, 8), (3, 1, 2), (2, 6, 16)):
        yield normal(rng, *shape), normal(rng, *shape)


def _with_windows(rng: np.random.Generator) -> Iterator[tuple]:
    for shape, window in (((1, 4, 4), 2), ((2, 6, 8), 3), ((2, 5, 4), 1), ((1, 3, 4), 8)):
        yield normal(rng, *shape), normal(rng, *shape), window


def _sizes(rng: np.random.Generator) -> Iterator[tuple]:
    yield 4, 4, 2, 32, 1, 4
    yield 32, 32, 8, 128, 1_000, 2
    yield 80, 64, 8, 128, 8_192, 2
    yield 3, 6, 6, 16, 10, 1


def _vectors_and_angles(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0, 2.0, 0.0, 0.0]]), torch.tensor([[torch.pi / 2, 0.0]])
    for time, head_dim in ((3, 4), (5, 8)):
        yield normal(rng, time, head_dim), normal(rng, time, head_dim // 2)


def _past(time: int) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).tril()


def _band(time: int, window: int) -> Tensor:
    return _past(time) & _past(time).triu(1 - window)


def _products(queries: Tensor, keys: Tensor) -> Tensor:
    return queries @ keys.mT


def _scaled(queries: Tensor, keys: Tensor) -> Tensor:
    return _products(queries, keys) / queries.shape[-1] ** 0.5


def _masked(products: Tensor, visible: Tensor, axis: int = -1) -> Tensor:
    return products.masked_fill(~visible, -torch.inf).softmax(dim=axis)


def _turned(a: Tensor, b: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    return a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()


def _rotate_halves(vectors: Tensor, angles: Tensor) -> Tensor:
    both = torch.cat([angles, angles], dim=-1)
    return rotate(vectors[None, None], Rotation(both.cos(), both.sin()))[0, 0]


def _rotate_without_minus(vectors: Tensor, angles: Tensor) -> Tensor:
    a, b = vectors[:, 0::2], vectors[:, 1::2]
    pairs = a * angles.cos() + b * angles.sin(), b * angles.cos() + a * angles.sin()
    return torch.stack(pairs, dim=-1).flatten(1)


def _rotate_in_sequence(vectors: Tensor, angles: Tensor) -> Tensor:
    a, b = vectors[:, 0::2], vectors[:, 1::2]
    a = a * angles.cos() - b * angles.sin()
    return torch.stack([a, b * angles.cos() + a * angles.sin()], dim=-1).flatten(1)


def _rotate_unwoven(vectors: Tensor, angles: Tensor) -> Tensor:
    return torch.cat(_turned(vectors[:, 0::2], vectors[:, 1::2], angles), dim=-1)


EXERCISES = (
    Exercise(
        name="attention_weights",
        task="Return the weight of every position for every query: softmax of q . k / sqrt(head_dim), row by row. "
        "A position sees itself and what came before it, nothing later.",
        reference=attention_weights,
        inputs=_queries_and_keys,
        mistakes={
            "The scale is missing: divide the products by sqrt(head_dim), or long vectors make "
            "the softmax too sharp.": (lambda q, k: _masked(_products(q, k), _past(q.shape[1]))),
            "Those are scores; a softmax over each row makes weights of them.": (
                lambda q, k: _scaled(q, k).where(_past(q.shape[1]), 0)
            ),
            "You multiply by sqrt(head_dim); divide by it.": (
                lambda q, k: _masked(_products(q, k) * q.shape[-1] ** 0.5, _past(q.shape[1]))
            ),
            "You divide by the root of the number of positions; head_dim is the length of a query.": (
                lambda q, k: _masked(_products(q, k) * q.shape[1] ** -0.5, _past(q.shape[1]))
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
            "The softmax runs over the queries; each row belongs to one query and must sum to 1 "
            "over the keys (dim=-1).": (lambda q, k: _masked(_scaled(q, k), _past(q.shape[1]), axis=-2)),
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
        sources=("moe_lessons.model.attention.attention_weights",),
    ),
    Exercise(
        name="window_weights",
        task="Return the weights of attention with a sliding window: a position sees the last `window` positions, "
        "itself included, and nothing later. With window 2 that is itself and the one before.",
        reference=window_weights,
        inputs=_with_windows,
        mistakes={
            "The window is not used yet: every position sees its whole past.": (
                lambda q, k, window: _masked(_scaled(q, k), _past(q.shape[1]))
            ),
            "Your window is one too wide: the position itself counts as one of the `window`.": (
                lambda q, k, window: _masked(_scaled(q, k), _band(q.shape[1], window + 1))
            ),
            "Your window is one too narrow: with window 2 a position sees itself and the one before.": (
                lambda q, k, window: _masked(_scaled(q, k), _band(q.shape[1], window - 1))
            ),
            "You hide what is too far back, but not what comes later; both are out of sight.": (
                lambda q, k, window: _masked(_scaled(q, k), _band(q.shape[1], window) | ~_past(q.shape[1]))
            ),
            "The window reaches into the future: a position must not see later ones.": (
                lambda q, k, window: _masked(_scaled(q, k), _band(q.shape[1], window) | _band(q.shape[1], window).mT)
            ),
            "You mask after the softmax, so the rows no longer sum to 1; mask the scores before it.": (
                lambda q, k, window: _scaled(q, k).softmax(dim=-1) * _band(q.shape[1], window)
            ),
            "You mask with 0, but e^0 is 1, so hidden positions keep a weight; mask with -inf.": (
                lambda q, k, window: _scaled(q, k).masked_fill(~_band(q.shape[1], window), 0.0).softmax(dim=-1)
            ),
            "The scale is missing: divide the products by sqrt(head_dim).": (
                lambda q, k, window: _masked(_products(q, k), _band(q.shape[1], window))
            ),
            "That hides what is inside the window and shows what is before it; it is the other way round.": (
                lambda q, k, window: _masked(
                    _scaled(q, k), _past(q.shape[1]) & ~_band(q.shape[1], window) | torch.eye(q.shape[1]).bool()
                )
            ),
        },
        success="Mistral 7B did this: the cache never holds more than `window` tokens, however long the text.",
        difficulty=2,
        minutes=10,
        differentiable=True,
        sources=("moe_lessons.model.attention.attention_weights",),
    ),
    Exercise(
        name="cache_bytes",
        task="Return how many bytes the key-value cache of one conversation takes. "
        "Each layer keeps one key and one value of head_dim numbers per key-value head and token.",
        reference=cache_bytes,
        inputs=_sizes,
        mistakes={
            "You count keys or values; the cache holds both.": lambda *sizes: cache_bytes(*sizes) // 2,
            "You count query heads; queries are not kept, only the heads of keys and values are.": (
                lambda n_layers, n_heads, n_kv_heads, *rest: cache_bytes(n_layers, n_heads, n_heads, *rest)
            ),
            "The layers are missing: each has keys and values of its own.": (
                lambda n_layers, *rest: cache_bytes(1, *rest)
            ),
            "You count numbers; each takes bytes_per_number bytes.": (
                lambda n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number: cache_bytes(
                    n_layers, n_heads, n_kv_heads, head_dim, tokens, 1
                )
            ),
            "That is the size of one token; the cache holds all of them.": (
                lambda n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number: cache_bytes(
                    n_layers, n_heads, n_kv_heads, head_dim, 1, bytes_per_number
                )
            ),
            "The attention weights are not kept, so nothing grows with the square of the tokens.": (
                lambda n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number: cache_bytes(
                    n_layers, n_heads, n_kv_heads, head_dim, tokens**2, bytes_per_number
                )
            ),
        },
        success="This one line is what lesson 10 makes smaller.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.cache.KVCache",),
    ),
    Exercise(
        name="rotate_neighbors",
        task="Turn each pair of neighbors, entries (2i, 2i + 1), of every vector by its angle, as the RoPE paper does. "
        "A pair (a, b) becomes (a cos - b sin, b cos + a sin) and stays in its place.",
        reference=rotate_neighbors,
        inputs=_vectors_and_angles,
        mistakes={
            "You pair entry i with i + head_dim / 2, as the lesson does; here neighbors (0, 1), (2, 3) are paired.": (
                _rotate_halves
            ),
            "You turn the other way: the sign of both sines is reversed.": (
                lambda vectors, angles: rotate_neighbors(vectors, -angles)
            ),
            "A minus is missing: without it the lengths change, and it is no turn.": _rotate_without_minus,
            "The second line uses the first entry after it was turned; keep the old a until b is done.": (
                _rotate_in_sequence
            ),
            "The turned pairs are right, but not back in their places: weave them, a0 b0 a1 b1.": _rotate_unwoven,
        },
        success="The two layouts differ by the order of the entries only, and mixing them up ruins a model.",
        difficulty=2,
        minutes=10,
        differentiable=True,
        sources=("moe_lessons.model.rope.rotate",),
    ),
)
