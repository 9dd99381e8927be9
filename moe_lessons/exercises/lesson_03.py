"""Lesson 03: the parts of a LLaMA block, and what they weigh."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from moe_lessons.accounting.parameters import count_parameters
from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.norm import RMSNorm


def rms_norm(
    hidden: Float[Tensor, "tokens dim"], weight: Float[Tensor, " dim"], eps: float
) -> Float[Tensor, "tokens dim"]:
    """Divide each vector by the root of its mean square (plus eps, inside the root), then multiply by weight."""
    return functional_call(RMSNorm(hidden.shape[-1], eps), {"weight": weight}, hidden)


def swiglu(
    hidden: Float[Tensor, "tokens dim"],
    gate: Float[Tensor, "hidden dim"],
    up: Float[Tensor, "hidden dim"],
    down: Float[Tensor, "dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """down(silu(gate(x)) * up(x)), with each matrix stored as [outputs, inputs]."""
    weights = {"gate.weight": gate, "up.weight": up, "down.weight": down}
    return functional_call(SwiGLU(hidden.shape[-1], len(gate)), weights, hidden)


def parameters(config: ModelConfig) -> int:
    """All parameters of a dense model; a tied head is the embedding once more and adds none."""
    return count_parameters(config).total


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _vectors(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[3.0, 4.0]]), torch.ones(2), 1e-5
    yield torch.tensor([[0.03, -0.04], [0.0, 0.0]]), torch.ones(2), 0.1  # small vectors: here eps is seen
    for tokens, dim in ((3, 8), (5, 16)):
        yield _normal(rng, tokens, dim) + 0.5, _normal(rng, dim), 1e-3


def _layers(rng: np.random.Generator) -> Iterator[tuple]:
    for tokens, dim, hidden_dim in ((1, 2, 3), (3, 4, 6), (5, 8, 8)):
        yield (
            _normal(rng, tokens, dim),
            _normal(rng, hidden_dim, dim),
            _normal(rng, hidden_dim, dim),
            _normal(rng, dim, hidden_dim),
        )


def _configs(rng: np.random.Generator) -> Iterator[tuple]:
    for tied in (True, False):
        for n_layers, n_heads, n_kv_heads in ((1, 4, 4), (2, 4, 2), (3, 6, 1)):
            yield (
                ModelConfig(
                    vocab_size=512,
                    dim=48,
                    n_layers=n_layers,
                    hidden_dim=int(rng.integers(8, 16)) * 8,
                    max_length=128,
                    attention=AttentionConfig(n_heads=n_heads, n_kv_heads=n_kv_heads),
                    tie_embeddings=tied,
                ),
            )


def _mean_square(hidden: Tensor, axis: int = -1) -> Tensor:
    return hidden.square().mean(dim=axis, keepdim=True)


def _parameters(
    config: ModelConfig,
    *,
    matrices: int = 3,
    kv_heads: int | None = None,
    norms: int = 2,
    final: int = 1,
    head: bool | None = None,
) -> int:
    heads = config.attention
    kv = heads.n_kv_heads if kv_heads is None else kv_heads
    attention = config.dim * heads.head_dim * (2 * heads.n_heads + 2 * kv)
    block = attention + matrices * config.dim * config.hidden_dim + norms * config.dim
    tables = 1 + (not config.tie_embeddings if head is None else head)
    return config.n_layers * block + final * config.dim + tables * config.vocab_size * config.dim


EXERCISES = (
    Exercise(
        name="rms_norm",
        task="Divide each vector (last axis) by the square root of its mean square plus eps. "
        "Then multiply entry by entry by the learned weight.",
        reference=rms_norm,
        inputs=_vectors,
        mistakes={
            "You subtract the mean first: that is LayerNorm, and RMSNorm saves this step.": lambda h, w, eps: (
                (h - h.mean(dim=-1, keepdim=True)) / (_mean_square(h - h.mean(dim=-1, keepdim=True)) + eps).sqrt() * w
            ),
            "eps is outside the root; inside it, a vector of zeros still has a finite gradient.": lambda h, w, eps: (
                h / (_mean_square(h).sqrt() + eps) * w
            ),
            "eps is missing: a vector of zeros is divided by zero.": lambda h, w, eps: h / _mean_square(h).sqrt() * w,
            "You average over the tokens; each token is normalized by itself (dim=-1).": lambda h, w, eps: (
                h / (_mean_square(h, axis=0) + eps).sqrt() * w
            ),
            "You take the sum of the squares; take their mean, so that the size does not shrink as dim grows.": (
                lambda h, w, eps: h / (h.square().sum(dim=-1, keepdim=True) + eps).sqrt() * w
            ),
            "The root is missing: divide by the root of the mean square.": lambda h, w, eps: (
                h / (_mean_square(h) + eps) * w
            ),
            "The weight is missing: multiply the normalized vector by it.": lambda h, w, eps: (
                h / (_mean_square(h) + eps).sqrt()
            ),
            "You average over everything at once, so tokens change each other; average over the last axis only.": (
                lambda h, w, eps: h / (h.square().mean() + eps).sqrt() * w
            ),
        },
        success="No mean, no bias, one root: half of LayerNorm does the job.",
        difficulty=1,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.model.norm.RMSNorm",),
    ),
    Exercise(
        name="swiglu",
        task="Return down(silu(gate(x)) * up(x)) for matrices stored as [outputs, inputs], as in torch's Linear. "
        "silu(z) is z times sigmoid(z).",
        reference=swiglu,
        inputs=_layers,
        mistakes={
            "You use the sigmoid; silu(z) is z * sigmoid(z), which F.silu computes.": lambda x, gate, up, down: (
                F.linear(F.linear(x, gate).sigmoid() * F.linear(x, up), down)
            ),
            "Gate and up are exchanged: silu belongs on the gate's side.": lambda x, gate, up, down: swiglu(
                x, up, gate, down
            ),
            "silu covers the whole product; it belongs on the gate only.": lambda x, gate, up, down: F.linear(
                F.silu(F.linear(x, gate) * F.linear(x, up)), down
            ),
            "You add gate and up; the gate multiplies, so that it can close.": lambda x, gate, up, down: F.linear(
                F.silu(F.linear(x, gate)) + F.linear(x, up), down
            ),
            "silu is missing: without it the gate is just another product.": lambda x, gate, up, down: F.linear(
                F.linear(x, gate) * F.linear(x, up), down
            ),
            "You use relu; LLaMA's gate is silu, which lets a little through below zero.": lambda x, gate, up, down: (
                F.linear(F.relu(F.linear(x, gate)) * F.linear(x, up), down)
            ),
            "`up` is not used: the gate decides how much of up(x) passes.": lambda x, gate, up, down: F.linear(
                F.silu(F.linear(x, gate)), down
            ),
        },
        success="One such network is what lesson 07 calls an expert.",
        difficulty=1,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.model.feed_forward.SwiGLU",),
    ),
    Exercise(
        name="parameters",
        task="Count all parameters of a dense model from its ModelConfig: embedding, blocks, last norm, head. "
        "There are no biases, and with tie_embeddings the head is the embedding itself.",
        reference=parameters,
        inputs=_configs,
        mistakes={
            "Keys and values have n_kv_heads heads each, not n_heads.": lambda config: _parameters(
                config, kv_heads=config.attention.n_heads
            ),
            "A tied head is the embedding once more: count it once.": lambda config: _parameters(config, head=True),
            "Without tie_embeddings the head has a table of its own.": lambda config: _parameters(config, head=False),
            "The norms are missing: two in each block and one after the last, dim parameters each.": (
                lambda config: _parameters(config, norms=0, final=0)
            ),
            "The norm after the last block is missing.": lambda config: _parameters(config, final=0),
            "A block has two norms, one before attention and one before the feed-forward.": (
                lambda config: _parameters(config, norms=1)
            ),
            "The norms inside the blocks are missing: two of dim parameters each.": (
                lambda config: _parameters(config, norms=0)
            ),
            "SwiGLU has three matrices: gate, up and down.": lambda config: _parameters(config, matrices=2),
        },
        success="The same count, with DeepSeek-V3's sizes, is how lesson 09 checks the press's 671 billion.",
        difficulty=2,
        minutes=12,
        sources=("moe_lessons.accounting.parameters.parameter_table",),
    ),
)
