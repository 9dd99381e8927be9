"""Parameters in all and at work on one token, by part; from a configuration or from a built model."""

from typing import NamedTuple

from moe_lessons.accounting.indexer import indexer_parameters
from moe_lessons.accounting.shared_kv import (
    connection_parameters,
    last_reading_parameters,
    shared_kv_added,
    shared_kv_parameters,
)
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.transformer import Transformer


class Part(NamedTuple):
    """One line of a model's parameter budget."""

    layer: int | None  # None: before or after the layers
    # embedding, attention, norms, hyper_connections, feed_forward, router, experts, shared_experts, head, multi_token
    name: str
    total: int
    active: int  # at work on one token


class ParameterCount(NamedTuple):
    """A model's parameters; a tied embedding counts once."""

    total: int
    active: int
    active_without_embedding: int  # the input embedding is a table look-up, not a product


def parameter_table(config: ModelConfig) -> list[Part]:
    """Every part of the model in reading order, counted by formula."""
    embedding = config.vocab_size * config.dim
    parts = [Part(None, "embedding", embedding, embedding)]
    for layer in range(config.n_layers):
        parts += layer_table(config, layer)
    parts.append(Part(None, "norms", config.dim, config.dim))
    if last := sum(last_reading_parameters(config)):
        parts.append(Part(None, "hyper_connections", last, last))
    # A tied head works as a product with the embedding's own numbers: no parameters of its own.
    head = 0 if config.tie_embeddings else embedding
    parts.append(Part(None, "head", head, head))
    if config.mtp_depth:
        # Three norms, a matrix that joins the two inputs, and a layer like the last; the next token needs none of it.
        layer = sum(part.total for part in layer_table(config, config.n_layers))
        module = 3 * config.dim + 2 * config.dim**2 + layer
        parts.append(Part(None, "multi_token", config.mtp_depth * module, 0))
    return parts


def layer_table(config: ModelConfig, layer: int) -> list[Part]:
    """The parts of one layer."""
    attention, gains = attention_parameters(config, layer)
    norms = (4 if config.output_norms else 2) * config.dim + gains
    parts = [Part(layer, "attention", attention, attention), Part(layer, "norms", norms, norms)]
    if connections := sum(connection_parameters(config)):
        parts.append(Part(layer, "hyper_connections", connections, connections))
    moe = config.moe_of(layer)
    if moe is None:
        size = swiglu_parameters(config.dim, config.hidden_dim)
        return [*parts, Part(layer, "feed_forward", size, size)]
    rows = 2 if moe.noise else 1  # one product for the logits, one for their noise
    if layer < moe.n_dense_layers + moe.n_hash_layers:  # routes are looked up, in a table that is not learned
        router = moe.n_routed_experts * config.dim
    else:
        router = moe.n_routed_experts * (rows * config.dim + moe.expert_bias + moe.bias)
    matrices = swiglu_parameters(config.dim, moe.hidden_dim)
    expert = matrices + moe.bias * (2 * moe.hidden_dim + config.dim)
    parts.append(Part(layer, "router", router, router))
    parts.append(Part(layer, "experts", moe.n_routed_experts * expert, moe.top_k * expert))
    if moe.n_shared_experts:
        shared = moe.n_shared_experts * matrices
        parts.append(Part(layer, "shared_experts", shared, shared))
    return parts


def added_parameters(config: ModelConfig, layer: int) -> dict[str, int]:
    """By part, those at work in a layer that nothing is multiplied with: biases, and the sinks of attention."""
    added = {"attention": 0, "router": 0, "experts": 0}
    heads, moe = config.attention, config.moe_of(layer)
    if isinstance(heads, AttentionConfig):
        added["attention"] = _attention_biases(config) + heads.sinks * heads.n_heads
    if isinstance(heads, SharedKVAttentionConfig):
        added["attention"] = shared_kv_added(config, layer)
    added["hyper_connections"] = connection_parameters(config)[1]
    if moe is not None:
        if layer >= moe.n_dense_layers + moe.n_hash_layers:
            added["router"] = moe.n_routed_experts * (moe.expert_bias + moe.bias)
        added["experts"] = moe.top_k * moe.bias * (2 * moe.hidden_dim + config.dim)
    return added


def _attention_biases(config: ModelConfig) -> int:
    heads = config.grouped_attention
    n_heads, n_kv_heads, head_dim = heads.sizes
    return heads.bias * ((n_heads + 2 * n_kv_heads) * head_dim + config.dim)


def attention_parameters(config: ModelConfig, layer: int = 0) -> tuple[int, int]:
    """One layer's matrices, biases and sinks, and the gains of the norms inside its attention."""
    heads, dim = config.attention, config.dim
    if isinstance(heads, LatentAttentionConfig):
        queries, values = heads.n_heads * heads.qk_head_dim, heads.n_heads * heads.v_head_dim
        rank = heads.q_lora_rank
        matrices = dim * queries if rank is None else rank * (dim + queries)
        matrices += dim * (heads.kv_lora_rank + heads.qk_rope_head_dim)  # down to the latent and the shared key
        matrices += heads.kv_lora_rank * (heads.n_heads * heads.qk_nope_head_dim + values)  # and up again
        of_indexer, its_gains = indexer_parameters(config, layer)
        return matrices + values * dim + of_indexer, (rank or 0) + heads.kv_lora_rank + its_gains
    if isinstance(heads, SharedKVAttentionConfig):
        return shared_kv_parameters(config, layer)
    n_heads, n_kv_heads, head_dim = heads.sizes
    queries, keys = n_heads * head_dim, n_kv_heads * head_dim
    gains = 2 * head_dim if heads.qk_norm else queries + keys if heads.joint_qk_norm else 0
    return dim * (2 * queries + 2 * keys) + _attention_biases(config) + heads.sinks * n_heads, gains


def swiglu_parameters(dim: int, hidden_dim: int) -> int:
    """Three matrices: gate, up and down."""
    return 3 * dim * hidden_dim


def count_parameters(model: ModelConfig | Transformer) -> ParameterCount:
    """Total and active parameters: of a configuration by formula, of a model by adding up its tensors.

    The router's correction bias counts as a parameter. Multi-token modules count in all, but not at work: the next
    token does without them. With tied embeddings the input table is also the output
    product, so nothing is taken off in `active_without_embedding`.

    >>> count_parameters(ModelConfig.from_card("mixtral-8x7b")).total
    46702792704
    """
    if isinstance(model, Transformer):
        config = model.config
        tensors = [*model.named_parameters(), *model.named_buffers()]
        # A table of routes is looked up, not learned.
        tensors = [(name, tensor) for name, tensor in tensors if tensor.is_floating_point()]
        total = sum(tensor.numel() for _, tensor in tensors)
        idle = sum(tensor.numel() for name, tensor in tensors if name.startswith("mtp."))
        if (moe := config.moe) is not None:
            idle += sum(
                tensor.numel() // moe.n_routed_experts * (moe.n_routed_experts - moe.top_k)
                for name, tensor in tensors
                if name.startswith("blocks.") and ".experts." in name
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
