"""Floating-point operations, counted as torch's FlopCounterMode counts: two for a multiply-add, products only."""

from moe_lessons.accounting.indexer import attended, indexer_of, indexer_parameters, indexer_products
from moe_lessons.accounting.parameters import layer_table, parameter_table
from moe_lessons.config import LatentAttentionConfig, ModelConfig


def forward_flops(config: ModelConfig, batch_size: int, seq_len: int) -> int:
    """FLOPs of one forward pass over `batch_size` sequences of `seq_len` tokens.

    Attention's scores are counted for all pairs, masked ones included, as a dense kernel computes them; latent
    attention unpacks its keys and values first. Divided by the number of tokens this is also what one new token costs
    that looks back on `seq_len`, given their keys and values.
    """
    pairs = config.n_layers * pair_products(config) * seq_len
    return 2 * batch_size * (seq_len * (token_products(config) + pairs) + _indexers(config, seq_len, seq_len))


def _indexers(config: ModelConfig, new: int, time: int) -> int:
    """What all layers' indexers make of `new` tokens, less their matrices, which are among the products of a token."""
    return config.n_layers * (indexer_products(config, new, time) - new * indexer_parameters(config)[0])


def pair_products(config: ModelConfig) -> int:
    """Products that one layer makes of each pair of tokens: q . k in all heads, then weights . v."""
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        return heads.n_heads * (heads.qk_head_dim + heads.v_head_dim)
    return 2 * heads.n_heads * heads.sizes.head_dim


def cached_pair_products(config: ModelConfig) -> int:
    """The same for a token that is generated: latent attention then compares with the latents themselves."""
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        return heads.n_heads * (2 * heads.kv_lora_rank + heads.qk_rope_head_dim)
    return pair_products(config)


def token_products(config: ModelConfig) -> int:
    """Products made of each token by itself: in all matrices at work, head included and look-ups left out."""
    products = sum(part.active for part in parameter_table(config) if part.name not in ("embedding", "norms", "head"))
    if config.moe is not None and config.moe.expert_bias:
        sparse_layers = sum(config.is_sparse(layer) for layer in range(config.n_layers))
        products -= sparse_layers * config.moe.n_routed_experts  # the bias is added, not multiplied
    return products + config.vocab_size * config.dim


def continuation_flops(config: ModelConfig, batch_size: int, new: int, past: int) -> int:
    """FLOPs of reading `new` tokens in each of `batch_size` sequences, behind `past` that lie in the cache.

    With new = 1 this is what generating one token costs. Latent attention takes its cheaper way, as the model does.
    """
    time = attended(config, new, past + new)
    products = new * (token_products(config) + config.n_layers * pair_products(config) * time)
    products += _indexers(config, new, past + new)
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        unpacked = heads.qk_nope_head_dim + heads.v_head_dim
        matrices = heads.kv_lora_rank * unpacked  # of one head; applied to queries or to all that is kept
        if new * (matrices + time * 2 * heads.kv_lora_rank) < time * (matrices + new * unpacked):
            products += config.n_layers * new * time * (cached_pair_products(config) - pair_products(config))
        else:
            products += config.n_layers * heads.n_heads * (time - new) * matrices
    return 2 * batch_size * products


def absorbed_over_unpacked(heads: LatentAttentionConfig, new: int, time: int) -> float:
    """Products of latent attention's absorbed form over those of its unpacked one.

    For `new` tokens read at once, after which `time` are in the cache; above 1, unpacking takes fewer.
    """
    matrices = heads.kv_lora_rank * (heads.qk_nope_head_dim + heads.v_head_dim)
    absorbed = new * matrices + new * time * (2 * heads.kv_lora_rank + heads.qk_rope_head_dim)
    return absorbed / (time * matrices + new * time * (heads.qk_head_dim + heads.v_head_dim))


def training_flops(config: ModelConfig, batch_size: int, seq_len: int) -> int:
    """FLOPs of one training step, multi-token modules included: backward, each product becomes two.

    The optimizer's own arithmetic is not in it. An indexer, which only chooses, has no backward pass.
    """
    flops = forward_flops(config, batch_size, seq_len)
    once = 2 * batch_size * config.n_layers * indexer_products(config, seq_len, seq_len)
    if config.mtp_depth:
        layer = layer_table(config, config.n_layers)
        products = sum(part.active for part in layer if part.name != "norms")
        moe = config.moe_of(config.n_layers)
        if moe is not None and moe.expert_bias:
            products -= moe.n_routed_experts
        products += 2 * config.dim**2 + config.vocab_size * config.dim  # what joins the two inputs, and the head
        for depth in range(config.mtp_depth):
            known = seq_len - depth  # the last tokens have none so far ahead
            chosen = indexer_products(config, known, known) - known * indexer_parameters(config)[0]
            flops += 2 * batch_size * (known * (products + pair_products(config) * known) + chosen)
            once += 2 * batch_size * indexer_products(config, known, known)
    return 3 * flops - 2 * once


def training_flops_per_token(config: ModelConfig, seq_len: int, causal: bool = False) -> float:
    """Forward and backward FLOPs per token, without multi-token modules: two products backward for each forward.

    `causal` counts only the pairs that a token may see, (seq_len + 1) / 2 in the mean, as reports of models do.
    """
    pairs = (seq_len + 1) / 2 if causal else seq_len
    products = 6 * (token_products(config) + config.n_layers * pair_products(config) * pairs)
    if indexer_of(config) is None or seq_len == 0:
        return products
    once = indexer_products(config, seq_len, seq_len) / seq_len  # no product of an indexer has a backward pass
    return products + config.n_layers * (2 * once - 6 * indexer_parameters(config)[0])
