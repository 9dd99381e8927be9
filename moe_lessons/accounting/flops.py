"""Floating-point operations, counted as torch's FlopCounterMode counts: two for a multiply-add, products only."""

from moe_lessons.accounting.indexer import attended, indexer_parameters, indexer_products
from moe_lessons.accounting.parameters import Part, added_parameters, layer_table, parameter_table
from moe_lessons.accounting.shared_kv import (
    connection_parameters,
    last_reading_parameters,
    shared_kv_seen,
    shared_kv_seen_by_all,
    stream_products,
)
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig


def forward_flops(config: ModelConfig, batch_size: int, seq_len: int) -> int:
    """FLOPs of one forward pass over `batch_size` sequences of `seq_len` tokens.

    Attention's scores are counted for all pairs, masked ones included, as a dense kernel computes them; latent
    attention unpacks its keys and values first. In a layer with a sliding window, each token is counted with as many
    positions as that is wide, which is what generation computes; who reads a text computes up to twice as many, half
    of them masked. Divided by the number of tokens this is also what one new token costs that looks back on
    `seq_len`, given their keys and values.
    """
    pairs = pair_products(config) * positions_seen(config, seq_len)
    return 2 * batch_size * (seq_len * (token_products(config) + pairs) + _indexers(config, seq_len, seq_len))


def _indexers(config: ModelConfig, new: int, time: int) -> int:
    """What all layers' indexers make of `new` tokens, less their matrices, which are among the products of a token."""
    layers = range(config.n_layers)
    matrices = sum(indexer_parameters(config, layer)[0] for layer in layers)
    return sum(indexer_products(config, layer, new, time) for layer in layers) - new * matrices


def positions_seen(config: ModelConfig, time: int, layer: int | None = None) -> int:
    """How many positions the last of `time` tokens looks at, itself among them, in one layer or in all together.

    Entries that stand for several tokens count as one each; an indexer over single tokens is not regarded.
    """
    heads = config.attention
    layers = range(config.n_layers) if layer is None else (layer,)
    if isinstance(heads, SharedKVAttentionConfig):
        return sum(shared_kv_seen(config, time, each) for each in layers)
    if not isinstance(heads, AttentionConfig) or heads.window is None:
        return len(layers) * time
    return sum(min(time, heads.window_of(layer) or time) for layer in layers)


def positions_seen_causally(config: ModelConfig, time: int) -> float:
    """The same in the mean over a text's tokens, where each sees those up to itself alone."""
    heads = config.attention
    if isinstance(heads, SharedKVAttentionConfig):
        return sum(shared_kv_seen_by_all(config, time, layer) for layer in range(config.n_layers)) / time
    if not isinstance(heads, AttentionConfig) or heads.window is None:
        return config.n_layers * (time + 1) / 2
    widths = (min(time, heads.window_of(layer) or time) for layer in range(config.n_layers))
    return sum(width * (2 * time - width + 1) / 2 for width in widths) / time


def pair_products(config: ModelConfig) -> int:
    """Products that one layer makes of each pair of tokens: q . k in all heads, then weights . v."""
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        return heads.n_heads * (heads.qk_head_dim + heads.v_head_dim)
    if isinstance(heads, SharedKVAttentionConfig):
        return 2 * heads.n_heads * heads.head_dim
    return 2 * heads.n_heads * heads.sizes.head_dim


def cached_pair_products(config: ModelConfig) -> int:
    """The same for a token that is generated: latent attention then compares with the latents themselves."""
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        return heads.n_heads * (2 * heads.kv_lora_rank + heads.qk_rope_head_dim)
    return pair_products(config)


def token_products(config: ModelConfig) -> int:
    """Products made of each token by itself: in all matrices at work, head included and look-ups left out."""
    return sum(part_products(config, part) for part in parameter_table(config))


def part_products(config: ModelConfig, part: Part) -> int:
    """The same in one part of `parameter_table`: in its matrices, not where numbers are looked up, added or scale."""
    if part.name in ("embedding", "norms"):
        return 0
    if part.name == "head":
        return config.vocab_size * config.dim
    if part.name != "hyper_connections":
        added = 0 if part.layer is None else added_parameters(config, part.layer).get(part.name, 0)
        return part.active - added
    connections = last_reading_parameters(config) if part.layer is None else connection_parameters(config)
    return connections[0] + stream_products(config, part.layer)


def continuation_flops(config: ModelConfig, batch_size: int, new: int, past: int) -> int:
    """FLOPs of reading `new` tokens in each of `batch_size` sequences, behind `past` that lie in the cache.

    With new = 1 this is what generating one token costs. Windows are counted as in `forward_flops`. Latent attention
    takes its cheaper way, as the model does.
    """
    time, seen = past + new, positions_seen(config, past + new)
    if isinstance(config.attention, LatentAttentionConfig):
        time = attended(config, new, time)
        seen = config.n_layers * time
    products = new * (token_products(config) + pair_products(config) * seen) + _indexers(config, new, past + new)
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
    once = 2 * batch_size * sum(indexer_products(config, layer, seq_len, seq_len) for layer in range(config.n_layers))
    if config.mtp_depth:
        layer = layer_table(config, config.n_layers)
        products = sum(part.active for part in layer if part.name != "norms")
        products -= sum(added_parameters(config, config.n_layers).values())
        products += 2 * config.dim**2 + config.vocab_size * config.dim  # what joins the two inputs, and the head
        for depth in range(config.mtp_depth):
            known = seq_len - depth  # the last tokens have none so far ahead
            chosen = indexer_products(config, 0, known, known) - known * indexer_parameters(config, 0)[0]
            flops += 2 * batch_size * (known * (products + pair_products(config) * known) + chosen)
            once += 2 * batch_size * indexer_products(config, 0, known, known)
    return 3 * flops - 2 * once


def training_flops_per_token(config: ModelConfig, seq_len: int, causal: bool = False) -> float:
    """Forward and backward FLOPs per token, without multi-token modules: two products backward for each forward.

    `causal` counts only the pairs that a token may see, (seq_len + 1) / 2 in the mean, as reports of models do.
    """
    seen = positions_seen_causally(config, seq_len) if causal else positions_seen(config, seq_len)
    products = 6 * (token_products(config) + pair_products(config) * seen)
    if seq_len == 0:
        return products
    # No product of an indexer has a backward pass.
    matrices = sum(indexer_parameters(config, layer)[0] for layer in range(config.n_layers))
    once = sum(indexer_products(config, layer, seq_len, seq_len) for layer in range(config.n_layers)) / seq_len
    return products + 2 * once - 6 * matrices
