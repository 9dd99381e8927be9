"""Floating-point operations, counted as torch's FlopCounterMode counts: two for a multiply-add, products only."""

from moe_lessons.accounting.parameters import parameter_table
from moe_lessons.config import LatentAttentionConfig, ModelConfig


def forward_flops(config: ModelConfig, batch_size: int, seq_len: int) -> int:
    """FLOPs of one forward pass over `batch_size` sequences of `seq_len` tokens.

    Attention's scores are counted for all pairs, masked ones included, as a dense kernel computes them; latent
    attention unpacks its keys and values first. Divided by the number of tokens this is also what one new token costs
    that looks back on `seq_len`, given their keys and values.
    """
    products = sum(part.active for part in parameter_table(config) if part.name not in ("embedding", "norms", "head"))
    if config.moe is not None and config.moe.expert_bias:
        sparse_layers = sum(config.is_sparse(layer) for layer in range(config.n_layers))
        products -= sparse_layers * config.moe.n_routed_experts  # the bias is added, not multiplied
    products += config.vocab_size * config.dim
    return 2 * batch_size * seq_len * (products + config.n_layers * pair_products(config) * seq_len)


def pair_products(config: ModelConfig) -> int:
    """Products that one layer makes of each pair of tokens: q . k in all heads, then weights . v."""
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        return heads.n_heads * (heads.qk_head_dim + heads.v_head_dim)
    return 2 * heads.n_heads * heads.head_dim


def training_flops_per_token(config: ModelConfig, seq_len: int) -> float:
    """Forward and backward FLOPs per token, without multi-token modules: two products backward for each forward."""
    return 3 * forward_flops(config, 1, seq_len) / seq_len
