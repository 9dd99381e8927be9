"""What one token written behind a long text costs, by the bits of its products and of what is kept.

DeepSeek-V4's report compares in "equivalent FP8 FLOPs" (arXiv:2606.19348, section 1), where a product in 16 bits takes
the time of two in 8; and it keeps 64 numbers of a vector in 16 bits, the others in 8 (section 2.3.4).
"""

from collections.abc import Mapping

from moe_lessons.accounting.flops import continuation_flops, token_products
from moe_lessons.accounting.indexer import indexer_of, indexer_parameters, indexer_products
from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig


def written_products(config: ModelConfig, length: int) -> dict[str, int]:
    """Products made of the last of `length` tokens, the others in the cache; their sum is half of the FLOPs.

    "attention" and "indexer" compare it with what is kept; all others are products with weights: of the "head", the
    "routers", "pooling" (what makes entries), "output, first step" (grouped output's), "unpacking" (what the absorbed
    form of latent attention multiplies queries and sums with), and "other weights".
    """
    layers, heads = range(config.n_layers), config.attention
    weights, matrices = token_products(config), sum(indexer_parameters(config, layer)[0] for layer in layers)
    indexer = max(0, sum(indexer_products(config, layer, 1, length) for layer in layers) - matrices)
    attention = continuation_flops(config, 1, 1, length - 1) // 2 - weights - indexer
    sparse = [layer for layer in layers if config.is_sparse(layer)]
    parts = {
        "head": config.vocab_size * config.dim,
        "routers": len(sparse) * config.dim * config.mixture.n_routed_experts if sparse else 0,
    }
    if isinstance(heads, SharedKVAttentionConfig):
        parts["pooling"] = sum(_pooling(config, layer) for layer in layers)
        parts["output, first step"] = config.n_layers * heads.n_heads * heads.head_dim * heads.output_rank
    if isinstance(heads, LatentAttentionConfig):
        each = heads.kv_lora_rank * (heads.qk_nope_head_dim + heads.v_head_dim)
        parts["unpacking"] = config.n_layers * heads.n_heads * each
    return {"attention": attention, "indexer": indexer} | parts | {"other weights": weights - sum(parts.values())}


def equivalent_flops(products: Mapping[str, int], bits: Mapping[str, float]) -> float:
    """FLOPs where a product in 16 bits counts as two in 8, and one in 4 bits as half; 8 where `bits` names no other.

    >>> equivalent_flops({"attention": 10, "indexer": 100}, {"attention": 16, "indexer": 4})
    140.0
    """
    return sum(2 * count * bits.get(part, 8) / 8 for part, count in products.items())


def kept_bytes(config: ModelConfig, length: int) -> int:
    """The cache of `length` tokens in the formats of serving: 16 bits where positions turn, 8 elsewhere, with scales.

    A vector takes 656 bytes in DeepSeek-V3.2 and 584 in V4 (https://github.com/vllm-project/vllm/pull/56893); a key of
    the indexer 8 bits a number in V3.2 and 4 in V4 (arXiv:2606.19348, section 2.3.4). Tokens that wait for an entry are
    left out. Raises ValueError for other kinds of attention.
    """
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        vector = heads.kv_lora_rank + 4 * (heads.kv_lora_rank // 128) + 2 * heads.qk_rope_head_dim
        key = heads.indexer.head_dim + 4 if heads.indexer else 0  # one scale of 32 bits
        return config.n_layers * length * (vector + key)
    if not isinstance(heads, SharedKVAttentionConfig):
        raise ValueError("the model keeps keys and values of heads, but these formats are for latents; use cache_bytes")
    eights = heads.head_dim - heads.rope_head_dim
    vector = eights + eights // 64 + 1 + 2 * heads.rope_head_dim  # a scale for each 64 numbers, and a byte of filling
    kept = 0
    for layer in range(config.n_layers):
        kept += min(length, heads.window) * vector
        rate = heads.compression.rate(layer) if heads.compression else 0
        if rate:
            size = indexer.head_dim if (indexer := indexer_of(config, layer)) else 0
            kept += length // rate * (vector + size // 2 + size // 32)  # a scale for each 32 numbers
    return kept


def _pooling(config: ModelConfig, layer: int) -> int:
    """Products of one token with the matrices that make contents and gates of a layer's entries, its index included."""
    heads = config.shared_kv_attention
    indexer = indexer_of(config, layer)
    if heads.kind(layer) == "window":
        return 0
    sizes = heads.head_dim + (indexer.head_dim if indexer else 0)
    return 2 * config.dim * sizes * (2 if heads.kind(layer) == "sparse" else 1)
