"""Parameters in all and at work on one token, by part; from a configuration or from a built model."""

from typing import NamedTuple

from moe_lessons.config import ModelConfig
from moe_lessons.model.transformer import Transformer


class Part(NamedTuple):
    """One line of a model's parameter budget."""

    layer: int | None  # None: before or after the layers
    name: str  # embedding, attention, norms, feed_forward, router, experts, shared_experts, head
    total: int
    active: int  # at work on one token


class ParameterCount(NamedTuple):
    """A model's parameters; a tied embedding counts once."""

    total: int
    active: int
    active_without_embedding: int  # the input embedding is a table look-up, not a product


def parameter_table(config: ModelConfig) -> list[Part]:
    """Every part of the model in reading order, counted by formula."""
    heads = config.attention
    q, kv = heads.n_heads * heads.head_dim, heads.n_kv_heads * heads.head_dim
    attention = config.dim * (2 * q + 2 * kv)
    norms = 2 * config.dim + (2 * heads.head_dim if heads.qk_norm else 0)
    embedding = config.vocab_size * config.dim
    parts = [Part(None, "embedding", embedding, embedding)]
    for layer in range(config.n_layers):
        parts += [Part(layer, "attention", attention, attention), Part(layer, "norms", norms, norms)]
        if not config.is_sparse(layer):
            size = swiglu_parameters(config.dim, config.hidden_dim)
            parts.append(Part(layer, "feed_forward", size, size))
            continue
        moe = config.moe
        rows = 2 if moe.noise else 1  # one product for the logits, one for their noise
        router = moe.n_routed_experts * (rows * config.dim + moe.expert_bias)
        expert = swiglu_parameters(config.dim, moe.hidden_dim)
        parts.append(Part(layer, "router", router, router))
        parts.append(Part(layer, "experts", moe.n_routed_experts * expert, moe.top_k * expert))
        if moe.n_shared_experts:
            shared = moe.n_shared_experts * expert
            parts.append(Part(layer, "shared_experts", shared, shared))
    parts.append(Part(None, "norms", config.dim, config.dim))
    # A tied head works as a product with the embedding's own numbers: no parameters of its own.
    head = 0 if config.tie_embeddings else embedding
    parts.append(Part(None, "head", head, head))
    return parts


def swiglu_parameters(dim: int, hidden_dim: int) -> int:
    """Three matrices: gate, up and down."""
    return 3 * dim * hidden_dim


def count_parameters(model: ModelConfig | Transformer) -> ParameterCount:
    """Total and active parameters: of a configuration by formula, of a model by adding up its tensors.

    The router's correction bias counts as a parameter. With tied embeddings the input table is also the output
    product, so nothing is taken off in `active_without_embedding`.
    """
    if isinstance(model, Transformer):
        config = model.config
        total = sum(p.numel() for p in model.parameters()) + sum(b.numel() for b in model.buffers())
        idle = sum(
            p.numel() // config.moe.n_routed_experts * (config.moe.n_routed_experts - config.moe.top_k)
            for name, p in model.named_parameters()
            if ".experts." in name
        )
        embedding = model.embedding.weight.numel()
    else:
        config = model
        parts = parameter_table(config)
        total = sum(part.total for part in parts)
        idle = total - sum(part.active for part in parts)
        embedding = config.vocab_size * config.dim
    active = total - idle
    return ParameterCount(total, active, active if config.tie_embeddings else active - embedding)
