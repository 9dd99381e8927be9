"""What a lightning indexer costs (DeepSeek-V3.2, arXiv:2512.02556): parameters, and the products it makes and saves."""

from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import IndexerConfig


def indexer_of(config: ModelConfig) -> IndexerConfig | None:
    """The indexer over latent attention's tokens; None where there is none."""
    return config.attention.indexer if isinstance(config.attention, LatentAttentionConfig) else None


def indexer_parameters(config: ModelConfig) -> tuple[int, int]:
    """One layer's indexer: its matrices, and the gains and biases of the norm on its keys."""
    indexer = indexer_of(config)
    if indexer is None:
        return 0, 0
    rank = config.latent_attention.q_lora_rank or 0
    queries = rank * indexer.n_heads * indexer.head_dim
    return queries + config.dim * (indexer.head_dim + indexer.n_heads), 2 * indexer.head_dim


def indexer_products(config: ModelConfig, new: int, time: int) -> int:
    """Products that one layer's indexer makes of `new` tokens, the last of `time`: keys alone where all are seen."""
    indexer = indexer_of(config)
    if indexer is None:
        return 0
    if time <= indexer.top_k:
        return new * config.dim * indexer.head_dim
    return new * (indexer_parameters(config)[0] + indexer.n_heads * (indexer.head_dim + 1) * time)


def attended(config: ModelConfig, new: int, time: int) -> int:
    """Tokens whose keys and values attention works with, for `new` tokens, the last of `time`.

    One new token's are gathered; for several at once, the others are masked, which saves nothing.
    """
    indexer = indexer_of(config)
    return time if indexer is None or new > 1 else min(time, indexer.top_k)
