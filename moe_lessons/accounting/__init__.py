"""What a model costs, from its sizes alone: parameters, FLOPs and bytes."""

from moe_lessons.accounting.flops import (
    cached_pair_products,
    continuation_flops,
    forward_flops,
    pair_products,
    part_products,
    positions_seen,
    token_products,
    training_flops,
    training_flops_per_token,
)
from moe_lessons.accounting.memory import (
    Kept,
    cache_bytes,
    cache_bytes_per_token,
    numbers_kept,
    training_bytes,
    weight_bytes,
)
from moe_lessons.accounting.parameters import ParameterCount, added_parameters, count_parameters, parameter_table

__all__ = [
    "Kept",
    "ParameterCount",
    "added_parameters",
    "cache_bytes",
    "cache_bytes_per_token",
    "cached_pair_products",
    "continuation_flops",
    "count_parameters",
    "forward_flops",
    "numbers_kept",
    "pair_products",
    "parameter_table",
    "part_products",
    "positions_seen",
    "token_products",
    "training_bytes",
    "training_flops",
    "training_flops_per_token",
    "weight_bytes",
]
