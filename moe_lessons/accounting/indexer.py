"""What a lightning indexer costs (DeepSeek-V3.2, arXiv:2512.02556): parameters, and the products it makes and saves."""

from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import IndexerConfig, SharedKVAttentionConfig


def indexer_of(config: ModelConfig, layer: int) -> IndexerConfig | None:
    """A layer's indexer, over tokens or over entries; None where there is none."""
    heads = config.attention
    if isinstance(heads, SharedKVAttentionConfig) and heads.compression is not None:
        return heads.compression.indexer if heads.kind(layer) == "sparse" else None
    return heads.indexer if isinstance(heads, LatentAttentionConfig) else None


def indexer_parameters(config: ModelConfig, layer: int) -> tuple[int, int]:
    """A layer's indexer: its matrices, and the gains and biases of the norm on its keys."""
    indexer, heads = indexer_of(config, layer), config.attention
    if indexer is None:
        return 0, 0
    queries = (getattr(heads, "q_lora_rank", None) or 0) * indexer.n_heads * indexer.head_dim
    matrices = queries + config.dim * indexer.n_heads + _key_products(config, indexer)
    return matrices, (1 if isinstance(heads, SharedKVAttentionConfig) else 2) * indexer.head_dim


def indexer_products(config: ModelConfig, layer: int, new: int, time: int) -> int:
    """Products that a layer's indexer makes of `new` tokens, the last of `time`: keys alone where all are seen."""
    indexer, heads = indexer_of(config, layer), config.attention
    if indexer is None:
        return 0
    if isinstance(heads, SharedKVAttentionConfig) and heads.compression is not None:
        time //= heads.compression.sparse_rate
    if time <= indexer.top_k:
        return new * _key_products(config, indexer)
    return new * (indexer_parameters(config, layer)[0] + indexer.n_heads * (indexer.head_dim + 1) * time)


def _key_products(config: ModelConfig, indexer: IndexerConfig) -> int:
    """One matrix for each token's key; where keys are pooled, content and gate, each twice for overlap."""
    times = 4 if isinstance(config.attention, SharedKVAttentionConfig) else 1
    return times * config.dim * indexer.head_dim


def attended(config: ModelConfig, new: int, time: int) -> int:
    """Tokens whose latents attention works with, for `new` tokens, the last of `time`.

    One new token's are gathered; for several at once, the others are masked, which saves nothing.
    """
    heads = config.attention
    indexer = heads.indexer if isinstance(heads, LatentAttentionConfig) else None
    return time if indexer is None or new > 1 else min(time, indexer.top_k)
