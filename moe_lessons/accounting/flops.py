"""Floating-point operations, counted as torch's FlopCounterMode counts: two for a multiply-add, products only."""

from moe_lessons.accounting.parameters import parameter_table
from moe_lessons.config import ModelConfig


def forward_flops(config: ModelConfig, batch_size: int, seq_len: int) -> int:
    """FLOPs of one forward pass over `batch_size` sequences of `seq_len` tokens.

    Attention's scores are counted for all pairs, masked ones included, as a dense kernel computes them.
    """
    products = sum(part.active for part in parameter_table(config) if part.name not in ("embedding", "norms", "head"))
    if config.moe is not None and config.moe.expert_bias:
        sparse_layers = sum(config.is_sparse(layer) for layer in range(config.n_layers))
        products -= sparse_layers * config.moe.n_routed_experts  # the bias is added, not multiplied
    products += config.vocab_size * config.dim
    heads = config.attention
    pairs = 2 * config.n_layers * heads.n_heads * heads.head_dim * seq_len  # q . k, then weights . v
    return 2 * batch_size * seq_len * (products + pairs)


def training_flops_per_token(config: ModelConfig, seq_len: int) -> float:
    """Forward and backward FLOPs per token: the backward pass makes two products for each of the forward's."""
    return 3 * forward_flops(config, 1, seq_len) / seq_len
