"""Lesson 03: the parts of a LLaMA block, and what they weigh."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from moe_lessons.accounting.parameters import count_parameters
from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.block import Block
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.rope import rotation


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


def block(
    hidden: Float[Tensor, "time dim"],
    n_heads: int,
    query: Float[Tensor, "dim dim"],
    key: Float[Tensor, "dim dim"],
    value: Float[Tensor, "dim dim"],
    output: Float[Tensor, "dim dim"],
    gate: Float[Tensor, "hidden dim"],
    up: Float[Tensor, "hidden dim"],
    down: Float[Tensor, "dim hidden"],
) -> Float[Tensor, "time dim"]:
    """The stream of one text after a block: attention is added to it, then SwiGLU, each read through a norm."""
    time, dim = hidden.shape
    heads = AttentionConfig(n_heads=n_heads, n_kv_heads=n_heads, head_dim=dim // n_heads, qk_norm=False)
    config = ModelConfig(vocab_size=2, dim=dim, n_layers=1, hidden_dim=len(gate), max_length=time, attention=heads)
    attention = {"query": query, "key": key, "value": value, "output": output}
    feed_forward = {"gate": gate, "up": up, "down": down}
    weights = {f"attention.{name}.weight": matrix for name, matrix in attention.items()}
    weights |= {f"feed_forward.{name}.weight": matrix for name, matrix in feed_forward.items()}
    unturned = rotation(torch.zeros(time, dtype=torch.long), heads.rope_dim, heads.rope_theta)
    return functional_call(Block(config, 0), weights, (hidden[None], unturned))[0]


def parameters(config: ModelConfig) -> int:
    """All parameters of a dense model; a tied head is the embedding once more and adds none."""
    return count_parameters(config).total


def _vectors(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[3.0, 4.0]]), torch.ones(2), 1e-5
    yield torch.tensor([[0.03, -0.04], [0.0, 0.0]]), torch.ones(2), 0.1  # small vectors: here eps is seen
    for tokens, dim in ((3, 8), (5, 16)):
        yield normal(rng, tokens, dim) + 0.5, normal(rng, dim), 1e-3


def _layers(rng: np.random.Generator) -> Iterator[tuple]:
    for tokens, dim, hidden_dim in ((1, 2, 3), (3, 4, 6), (5, 8, 8)):
        yield (
            normal(rng, tokens, dim),
            normal(rng, hidden_dim, dim),
            normal(rng, hidden_dim, dim),
            normal(rng, dim, hidden_dim),
        )


def _blocks(rng: np.random.Generator) -> Iterator[tuple]:
    for time, dim, n_heads, hidden_dim in ((2, 4, 1, 6), (5, 8, 2, 12), (7, 16, 4, 24)):
        square = [normal(rng, dim, dim) / dim**0.5 for _ in range(4)]
        wide = [normal(rng, hidden_dim, dim) / dim**0.5 for _ in range(2)]
        yield (
            3 * normal(rng, time, dim) + 0.5,
            n_heads,
            *square,
            *wide,
            normal(rng, dim, hidden_dim) / hidden_dim**0.5,
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
    wide = AttentionConfig(n_heads=4, n_kv_heads=2, head_dim=20)  # not the 12 that dim has for each head
    yield (ModelConfig(vocab_size=512, dim=48, n_layers=2, hidden_dim=64, max_length=128, attention=wide),)


def _mean_square(hidden: Tensor, axis: int = -1) -> Tensor:
    return hidden.square().mean(dim=axis, keepdim=True)


def _attend(
    hidden: Tensor, n_heads: int, query: Tensor, key: Tensor, value: Tensor, output: Tensor, **changed
) -> Tensor:
    """Causal attention without turns; `changed` names what a learner may get wrong."""
    time, dim = hidden.shape
    n_heads = 1 if changed.get("one_head") else n_heads
    split = (time, n_heads, dim // n_heads)
    queries, keys, values = (F.linear(hidden, matrix).view(split).transpose(0, 1) for matrix in (query, key, value))
    scale = 1.0 if changed.get("no_scale") else None
    mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=not changed.get("no_mask"), scale=scale)
    mixed = (mixed if changed.get("heads_first") else mixed.transpose(0, 1)).reshape(time, dim)
    return mixed if changed.get("no_output") else F.linear(mixed, output)


def _unit(hidden: Tensor) -> Tensor:
    return hidden * (_mean_square(hidden) + 1e-5).rsqrt()


def _with_parts(step: Callable[[Tensor, Callable, Callable], Tensor], **changed) -> Callable:
    """A block whose two parts are right, or changed as told, and are put together by `step(stream, attend, think)`."""

    def attempt(hidden, n_heads, query, key, value, output, gate, up, down):
        def attend(x: Tensor) -> Tensor:
            return _attend(x, n_heads, query, key, value, output, **changed)

        def think(x: Tensor) -> Tensor:
            return swiglu(x, up, gate, down) if changed.get("swapped") else swiglu(x, gate, up, down)

        return step(hidden, attend, think)

    return attempt


def _in_order(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = stream + attend(_unit(stream))
    return stream + think(_unit(stream))


def _replacing(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    return think(_unit(attend(_unit(stream))))


def _replacing_once(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = stream + attend(_unit(stream))
    return think(_unit(stream))


def _replacing_first(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = attend(_unit(stream))
    return stream + think(_unit(stream))


def _norm_after(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = _unit(stream + attend(stream))
    return _unit(stream + think(stream))


def _norm_of_the_part(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = stream + _unit(attend(stream))
    return stream + _unit(think(stream))


def _no_norms(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = stream + attend(stream)
    return stream + think(stream)


def _one_norm(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = stream + attend(_unit(stream))
    return stream + think(stream)


def _normalized_stream(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = _unit(stream)
    stream = _unit(stream + attend(stream))
    return stream + think(stream)


def _side_by_side(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    return stream + attend(_unit(stream)) + think(_unit(stream))


def _other_order(stream: Tensor, attend: Callable, think: Callable) -> Tensor:
    stream = stream + think(_unit(stream))
    return stream + attend(_unit(stream))


def _parameters(
    config: ModelConfig,
    *,
    matrices: int = 3,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    norms: int = 2,
    final: int = 1,
    head: bool | None = None,
) -> int:
    heads = config.grouped_attention.sizes
    kv = heads.n_kv_heads if kv_heads is None else kv_heads
    width = heads.head_dim if head_dim is None else head_dim
    attention = config.dim * width * (2 * heads.n_heads + 2 * kv)
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
            "That makes each vector's length 1; make its root mean square 1, whatever dim is.": (
                lambda h, w, eps: F.normalize(h, dim=-1) * w
            ),
            "The root is missing: divide by the root of the mean square.": lambda h, w, eps: (
                h / (_mean_square(h) + eps) * w
            ),
            "You multiply by the root; divide by it.": lambda h, w, eps: h * (_mean_square(h) + eps).sqrt() * w,
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
        name="block",
        task="Return the stream of one text after a block: causal attention with n_heads heads, then SwiGLU, each "
        "reading through an RMSNorm (eps 1e-5, no gains) and adding to the stream. Turns of positions are left out.",
        reference=block,
        inputs=_blocks,
        mistakes={
            "Both results replace the stream; a block only adds to it.": _with_parts(_replacing),
            "SwiGLU's result replaces the stream; add it.": _with_parts(_replacing_once),
            "Attention's result replaces the stream; add it.": _with_parts(_replacing_first),
            "You normalize the stream after each addition; only what a part reads is normalized.": (
                _with_parts(_norm_after)
            ),
            "You normalize what a part writes; normalize what it reads.": _with_parts(_norm_of_the_part),
            "Both norms are missing: each part reads the stream through one.": _with_parts(_no_norms),
            "The second norm is missing: SwiGLU reads through a norm, too.": _with_parts(_one_norm),
            "You add to the normalized stream; keep the stream itself, the norm is for reading.": (
                _with_parts(_normalized_stream)
            ),
            "SwiGLU reads the stream from before attention; it reads what attention has added to.": (
                _with_parts(_side_by_side)
            ),
            "SwiGLU comes before attention; it is the other way round.": _with_parts(_other_order),
            "The mask is missing: a position must not see later ones.": _with_parts(_in_order, no_mask=True),
            "The scale is missing: divide the products by sqrt(head_dim).": _with_parts(_in_order, no_scale=True),
            "The heads are not split: each of the n_heads has dim / n_heads numbers and shares of its own.": (
                _with_parts(_in_order, one_head=True)
            ),
            "The heads are joined in the wrong order: bring the heads of a token together before you reshape.": (
                _with_parts(_in_order, heads_first=True)
            ),
            "`output` is not used: it mixes the heads before they are added.": _with_parts(_in_order, no_output=True),
            "Gate and up are exchanged: silu belongs on the gate's side.": _with_parts(_in_order, swapped=True),
        },
        success="Stack this, put a table before it and one behind it, and you have a LLaMA.",
        difficulty=3,
        minutes=15,
        differentiable=True,
        sources=("moe_lessons.model.block.Block",),
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
            "A head is config.attention.head_dim wide, which need not be dim // n_heads.": lambda config: _parameters(
                config, head_dim=config.dim // config.attention.n_heads
            ),
        },
        success="The same count, with DeepSeek-V3's sizes, is how lesson 09 checks the press's 671 billion.",
        difficulty=2,
        minutes=12,
        sources=("moe_lessons.accounting.parameters.parameter_table",),
    ),
)
