"""Lesson 10: what a conversation costs, what is turned and what is normalized, folding, scaling, and when to unpack."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from moe_lessons.accounting import cache_bytes_per_token
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.rope import Rotation, rotate, rotation


def conversation_bytes(config: ModelConfig, tokens: int, bytes_per_number: int) -> int:
    """Bytes that `tokens` tokens leave in the cache of all layers; the attention is grouped or latent."""
    return tokens * cache_bytes_per_token(config, bytes_per_number)


def split_query(
    query: Float[Tensor, "batch heads new qk"], rope_dim: int, by: Rotation
) -> tuple[Float[Tensor, "batch heads new nope"], Float[Tensor, "batch heads new rope"]]:
    """The part without regard to position, and the last `rope_dim` numbers, turned."""
    nope, rope = query.split([query.shape[-1] - rope_dim, rope_dim], dim=-1)
    return nope, rotate(rope, by)


def keep(
    compressed: Float[Tensor, "batch new latent"],
    rope_key: Float[Tensor, "batch new rope"],
    gain: Float[Tensor, " latent"],
    by: Rotation,
) -> tuple[Float[Tensor, "batch new latent"], Float[Tensor, "batch new rope"]]:
    """What goes into the cache: the latent, normalized (epsilon 1e-6), and the key for all heads, turned."""
    return F.rms_norm(compressed, gain.shape, gain, 1e-6), rotate(rope_key[:, None], by)[:, 0]


def absorb(
    query: Float[Tensor, "batch heads new nope"], weight: Float[Tensor, "rows latent"]
) -> Float[Tensor, "batch heads new latent"]:
    """The query folded with its head's key matrix, of which `weight` holds all heads' one below the other."""
    matrices = rearrange(weight, "(heads nope) latent -> heads nope latent", heads=query.shape[1])
    return einsum(query, matrices, "batch heads new nope, heads nope latent -> batch heads new latent")


def latent_scores(
    wanted: Float[Tensor, "batch heads new latent"],
    rope_query: Float[Tensor, "batch heads new rope"],
    latents: Float[Tensor, "batch time latent"],
    rope_keys: Float[Tensor, "batch time rope"],
    nope_dim: int,
) -> Float[Tensor, "batch heads new time"]:
    """Scores before mask and softmax; `wanted` is the query folded with the key matrix, once nope_dim numbers."""
    return _sum(wanted, rope_query, latents, rope_keys) * (nope_dim + rope_query.shape[-1]) ** -0.5


def absorbing_is_cheaper(new: int, time: int, latent: int, nope: int, value: int, rope: int) -> bool:
    """Whether `new` queries over `time` kept tokens take fewer products, in a head, when nothing is unpacked."""
    matrices = latent * (nope + value)
    absorbed = new * matrices + new * time * (latent + rope + latent)
    return absorbed < time * matrices + new * time * (nope + rope + value)


def _sum(wanted: Tensor, rope_query: Tensor, latents: Tensor, rope_keys: Tensor) -> Tensor:
    return wanted @ latents[:, None].mT + rope_query @ rope_keys[:, None].mT


def _models(rng: np.random.Generator) -> Iterator[tuple]:
    latent = partial(LatentAttentionConfig, qk_nope_head_dim=16, v_head_dim=16)
    for attention, n_layers, tokens, size in (
        (AttentionConfig(n_heads=8, n_kv_heads=2, head_dim=16), 3, 100, 2),
        (latent(n_heads=8, kv_lora_rank=64, qk_rope_head_dim=8), 3, 100, 2),
        (AttentionConfig(n_heads=4, head_dim=32), 1, 7, 4),
        (AttentionConfig(n_heads=4, n_kv_heads=2, head_dim=48), 2, 10, 2),  # wider than dim has for each head
        (latent(n_heads=4, q_lora_rank=24, kv_lora_rank=40, qk_rope_head_dim=4), 5, 9, 1),
    ):
        config = ModelConfig(
            vocab_size=50, dim=128, n_layers=n_layers, hidden_dim=96, max_length=128, attention=attention
        )
        yield config, tokens, size


def _queries(rng: np.random.Generator) -> Iterator[tuple]:
    for heads, first, new, nope, rope in ((1, 1, 1, 2, 2), (3, 0, 4, 6, 4), (2, 50, 3, 2, 8), (2, 7, 2, 4, 4)):
        by = rotation(torch.arange(first, first + new), rope, 100.0)
        yield normal(rng, 2, heads, new, nope + rope), rope, by


def _kept(rng: np.random.Generator) -> Iterator[tuple]:
    for first, new, latent, rope in ((1, 1, 4, 2), (0, 5, 8, 4), (30, 3, 6, 6)):
        by = rotation(torch.arange(first, first + new), rope, 100.0)
        yield 3 * normal(rng, 2, new, latent), normal(rng, 2, new, rope), 1 + 0.3 * normal(rng, latent), by
    by = rotation(torch.arange(1), 2, 100.0)
    yield torch.tensor([[[0.0, 0.0, 0.0]], [[1.0, 2.0, 2.0]]]), normal(rng, 2, 1, 2), torch.ones(3), by


def _folded(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[[[1.0]], [[10.0]]]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    for heads, new, nope, latent in ((2, 3, 4, 6), (3, 1, 3, 3), (4, 2, 2, 8)):
        yield normal(rng, 2, heads, new, nope), normal(rng, heads * nope, latent)


def _compared(rng: np.random.Generator) -> Iterator[tuple]:
    for heads, new, time, latent, nope, rope in ((1, 1, 2, 6, 2, 2), (3, 2, 5, 16, 8, 4), (2, 4, 4, 10, 4, 2)):
        yield (
            normal(rng, 2, heads, new, latent), normal(rng, 2, heads, new, rope),
            normal(rng, 2, time, latent), normal(rng, 2, time, rope), nope,
        )  # fmt: skip


def _lengths(rng: np.random.Generator) -> Iterator[tuple]:
    for latent, nope, value, rope in ((512, 128, 128, 64), (128, 32, 32, 16), (48, 32, 16, 8)):
        for time in (16, 300, 4096):
            for new in (1, 8, 16, 32, 40, 64, 120, 150, 300, 4096):
                if new <= time:
                    yield new, time, latent, nope, value, rope
    yield 2, 4, 4, 2, 2, 2  # both ways take 64 products


def _grouped_or_latent(grouped: Callable, latent: Callable) -> Callable:
    """What a learner gets who counts numbers of a layer in these two ways."""

    def count(config: ModelConfig, tokens: int, bytes_per_number: int) -> int:
        way = latent if isinstance(config.attention, LatentAttentionConfig) else grouped
        return way(config.attention) * config.n_layers * tokens * bytes_per_number

    return count


def _heads(heads: AttentionConfig) -> int:
    return 2 * heads.sizes.n_kv_heads * heads.sizes.head_dim


def _latent(heads: LatentAttentionConfig) -> int:
    return heads.kv_lora_rank + heads.qk_rope_head_dim


def _turned_first(query: Tensor, rope_dim: int, by: Rotation) -> tuple[Tensor, Tensor]:
    rope, nope = query.split([rope_dim, query.shape[-1] - rope_dim], dim=-1)
    return nope, rotate(rope, by)


def _all_turned(query: Tensor, rope_dim: int, by: Rotation) -> tuple[Tensor, Tensor]:
    nope, rope = split_query(query, rope_dim, by)
    return rotate(nope, by), rope  # stops where the two parts are not equally wide


def _other_heads(query: Tensor, weight: Tensor) -> Tensor:
    matrices = rearrange(weight, "(nope heads) latent -> heads nope latent", heads=query.shape[1])
    return query @ matrices


def _way(prices: Callable[..., tuple[float, float]]) -> Callable:
    def cheaper(*sizes: int) -> bool:
        absorbed, unpacked = prices(*sizes)
        return absorbed < unpacked

    return cheaper


EXERCISES = (
    Exercise(
        name="conversation_bytes",
        task="Return the bytes of cache behind `tokens` tokens in all layers of `config`. `config.attention` is an "
        "AttentionConfig (n_heads, n_kv_heads, head_dim) or a LatentAttentionConfig (kv_lora_rank, qk_rope_head_dim, "
        "...); imported as in the lesson.",
        reference=conversation_bytes,
        inputs=_models,
        mistakes={
            "Half is missing: keys and values are kept, each with head_dim numbers for each key-value head.": (
                _grouped_or_latent(lambda heads: _heads(heads) // 2, _latent)
            ),
            "You count all heads; heads of a group share their keys and values: n_kv_heads.": _grouped_or_latent(
                lambda heads: 2 * heads.n_heads * heads.head_dim, _latent
            ),
            "The turned key is missing: it is kept beside the latent, once for all heads.": _grouped_or_latent(
                _heads, lambda heads: heads.kv_lora_rank
            ),
            "You keep a turned key for each head; there is one for all of them.": _grouped_or_latent(
                _heads, lambda heads: heads.kv_lora_rank + heads.n_heads * heads.qk_rope_head_dim
            ),
            "You keep the latent twice; keys and values are made from the same one.": _grouped_or_latent(
                _heads, lambda heads: 2 * heads.kv_lora_rank + heads.qk_rope_head_dim
            ),
            "You keep what is unpacked from the latents; the point of them is to keep nothing else.": (
                _grouped_or_latent(
                    _heads,
                    lambda heads: heads.n_heads * (heads.qk_nope_head_dim + heads.qk_rope_head_dim + heads.v_head_dim),
                )
            ),
            "A head is head_dim wide, which need not be dim // n_heads.": lambda config, tokens, bytes_per_number: (
                conversation_bytes(config, tokens, bytes_per_number)
                if isinstance(config.attention, LatentAttentionConfig)
                else 2
                * config.attention.n_kv_heads
                * (config.dim // config.attention.n_heads)
                * config.n_layers
                * tokens
                * bytes_per_number
            ),
            "You count one layer; every layer keeps its own.": lambda config, tokens, bytes_per_number: (
                conversation_bytes(config, tokens, bytes_per_number) // config.n_layers
            ),
            "Those are numbers; each has bytes_per_number bytes.": lambda config, tokens, bytes_per_number: (
                conversation_bytes(config, tokens, 1)
            ),
        },
        success="Try it on ModelConfig.from_card('deepseek-v3') with 131_072 tokens of 2 bytes.",
        difficulty=1,
        minutes=6,
        sources=("moe_lessons.accounting.cache_bytes_per_token",),
    ),
    Exercise(
        name="split_query",
        task="Find the bug: return (nope, rope). The last `rope_dim` numbers of each query are turned by "
        "`rotate(rope, by)`, the others know no position.",
        reference=split_query,
        inputs=_queries,
        mistakes={
            "The numbers that are turned come last, and the others first: swap the two sizes.": _turned_first,
            "Both parts are turned. The first one will be folded with a matrix, which a turn would get in the way "
            "of.": _all_turned,
            "Nothing is turned, so the model would not know where a token stands.": lambda query, rope_dim, by: (
                query.split([query.shape[-1] - rope_dim, rope_dim], dim=-1)
            ),
            "The parts are returned in the wrong order: nope first.": lambda query, rope_dim, by: split_query(
                query, rope_dim, by
            )[::-1],
        },
        success="Position travels in a few numbers of its own, and the rest is free to be folded.",
        difficulty=1,
        minutes=5,
        differentiable=True,
        sources=("moe_lessons.model.latent_attention.LatentAttention.queries",),
    ),
    Exercise(
        name="keep",
        task="Find the bug: return what goes into the cache, (latent, rope key): the latent after an RMSNorm with "
        "`gain` and epsilon 1e-6, and the key for all heads turned. `rotate` wants an axis for heads.",
        reference=keep,
        inputs=_kept,
        mistakes={
            "The norm is forgotten: the latent is normalized before it is kept, or else on every reading.": (
                lambda compressed, rope_key, gain, by: (compressed, rotate(rope_key[:, None], by)[:, 0])
            ),
            "The gain is forgotten: normalize, then multiply by it.": lambda compressed, rope_key, gain, by: (
                F.rms_norm(compressed, gain.shape, None, 1e-6),
                rotate(rope_key[:, None], by)[:, 0],
            ),
            "The epsilon is missing: a latent of zeros becomes 0 / 0 (NaN).": lambda compressed, rope_key, gain, by: (
                compressed / compressed.square().mean(dim=-1, keepdim=True).sqrt() * gain,
                rotate(rope_key[:, None], by)[:, 0],
            ),
            "You multiply by the gain without normalizing first.": lambda compressed, rope_key, gain, by: (
                compressed * gain,
                rotate(rope_key[:, None], by)[:, 0],
            ),
            "The key is kept as it came; turn it by its own position before it is kept, once and for all.": (
                lambda compressed, rope_key, gain, by: (F.rms_norm(compressed, gain.shape, gain, 1e-6), rope_key)
            ),
            "Two bugs: the latent is not normalized, and the key is not turned.": (
                lambda compressed, rope_key, gain, by: (compressed, rope_key)
            ),
            "The turned key is normalized as well; only the latent is.": lambda compressed, rope_key, gain, by: (
                F.rms_norm(compressed, gain.shape, gain, 1e-6),
                rotate(F.rms_norm(rope_key, rope_key.shape[-1:], None, 1e-6)[:, None], by)[:, 0],
            ),
        },
        success="Those few numbers are all that DeepSeek-V3 ever remembers of a token in a layer.",
        difficulty=2,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.model.latent_attention.LatentAttention.latents",),
    ),
    Exercise(
        name="absorb",
        task="Fold the key matrix into the query: q . (K c) = (K^T q) . c. `weight` holds the matrices of all heads, "
        "rows (heads nope); return one vector of the latent's width for each head and new token.",
        reference=absorb,
        inputs=_folded,
        mistakes={
            "The rows of one head lie together: split them as (heads nope), not (nope heads).": _other_heads,
            "Every head folds with its own matrix; yours are added up over the heads.": lambda query, weight: (
                absorb(query, weight).sum(dim=1, keepdim=True).expand(-1, query.shape[1], -1, -1)
            ),
            "All heads use the first head's matrix.": lambda query, weight: query @ weight[: query.shape[-1]],
            "That is the scaled query already; the scale belongs to the scores.": lambda query, weight: (
                absorb(query, weight) * query.shape[-1] ** -0.5
            ),
        },
        success="One small product for the query replaces one for each token that is kept.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.latent_attention.LatentAttention.absorbed",),
    ),
    Exercise(
        name="latent_scores",
        task="Find the bug: the scores are the sum of two products, with latents and with turned keys, scaled as those "
        "of the unpacked form, in which a query has nope_dim + rope numbers.",
        reference=latent_scores,
        inputs=_compared,
        mistakes={
            "Scaled by the latent's width, but that is not a size of the model's heads: the unpacked query has "
            "nope_dim + rope numbers, and both forms must agree.": lambda wanted, rope_query, *rest: (
                _sum(wanted, rope_query, *rest[:2]) * wanted.shape[-1] ** -0.5
            ),
            "Scaled by the width of what you compare here, latent + rope; the unpacked query has nope_dim + rope.": (
                lambda wanted, rope_query, *rest: (
                    _sum(wanted, rope_query, *rest[:2]) * (wanted.shape[-1] + rope_query.shape[-1]) ** -0.5
                )
            ),
            "Scaled by nope_dim alone; the turned numbers are part of the query too.": (
                lambda wanted, rope_query, *rest: _sum(wanted, rope_query, *rest[:2]) * rest[2] ** -0.5
            ),
            "Each part is scaled by its own width; the scale is that of the whole query.": (
                lambda wanted, rope_query, latents, rope_keys, nope_dim: (
                    wanted @ latents[:, None].mT * nope_dim**-0.5
                    + rope_query @ rope_keys[:, None].mT * rope_query.shape[-1] ** -0.5
                )
            ),
            "The scale is missing.": lambda wanted, rope_query, *rest: _sum(wanted, rope_query, *rest[:2]),
            "Only the latents are compared; without the turned keys nobody knows where a token stands.": (
                lambda wanted, rope_query, latents, rope_keys, nope_dim: (
                    wanted @ latents[:, None].mT * (nope_dim + rope_query.shape[-1]) ** -0.5
                )
            ),
            "You divide by the width of the query; scores are divided by its root.": (
                lambda wanted, rope_query, *rest: _sum(wanted, rope_query, *rest[:2]) / (rest[2] + rope_query.shape[-1])
            ),
            "These are shares already; the softmax comes later, behind the mask.": lambda *parts: latent_scores(
                *parts
            ).softmax(dim=-1),
        },
        success="Nothing crashes with a wrong scale; only a comparison with the slow form finds it.",
        difficulty=2,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.model.latent_attention.LatentAttention.absorbed",),
    ),
    Exercise(
        name="absorbing_is_cheaper",
        task="Count products in one head and return whether absorbing needs fewer: `new` queries meet `time` kept "
        "tokens, and no pair is skipped. Count the matrices (latent x nope and latent x value) and the pairs.",
        reference=absorbing_is_cheaper,
        inputs=_lengths,
        mistakes={
            "Absorbing has its matrices too: each new query is folded, and each mixture unpacked.": _way(
                lambda new, time, latent, nope, value, rope: (
                    new * time * (2 * latent + rope),
                    time * latent * (nope + value) + new * time * (nope + rope + value),
                )
            ),
            "Unpacking is for each kept token, whether it is new or not: multiply by `time`.": _way(
                lambda new, time, latent, nope, value, rope: (
                    new * latent * (nope + value) + new * time * (2 * latent + rope),
                    new * latent * (nope + value) + new * time * (nope + rope + value),
                )
            ),
            "A pair meets the latent twice: for the score and for the mixture.": _way(
                lambda new, time, latent, nope, value, rope: (
                    new * latent * (nope + value) + new * time * (latent + rope),
                    time * latent * (nope + value) + new * time * (nope + rope + value),
                )
            ),
            "Only keys are unpacked; the values are made from the latent too.": _way(
                lambda new, time, latent, nope, value, rope: (
                    new * latent * nope + new * time * (2 * latent + rope),
                    time * latent * nope + new * time * (nope + rope + value),
                )
            ),
            "Where both need as many products, absorbing does not need fewer: ask for <, not <=.": (
                lambda new, time, latent, nope, value, rope: (
                    new * latent * (nope + value) + new * time * (2 * latent + rope)
                    <= time * latent * (nope + value) + new * time * (nope + rope + value)
                )
            ),
            "It is the other way round: with few new tokens absorbing is cheaper.": (
                lambda new, time, latent, nope, value, rope: (
                    new * latent * (nope + value) + new * time * (2 * latent + rope)
                    > time * latent * (nope + value) + new * time * (nope + rope + value)
                )
            ),
            "For one new token, yes; but for some more too: compare the two sums.": (
                lambda new, time, latent, nope, value, rope: new == 1
            ),
        },
        success="The package asks the same question before every reading, and takes the cheaper way.",
        difficulty=3,
        minutes=9,
        sources=("moe_lessons.model.latent_attention.LatentAttention.absorbing_is_cheaper",),
    ),
)
