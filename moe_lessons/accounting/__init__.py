"""What a model costs, from its sizes alone: parameters, FLOPs and bytes."""

from moe_lessons.accounting.flops import forward_flops, pair_products, training_flops_per_token
from moe_lessons.accounting.memory import cache_bytes_per_token, training_bytes, weight_bytes
from moe_lessons.accounting.parameters import ParameterCount, count_parameters, parameter_table

__all__ = [
    "ParameterCount",
    "cache_bytes_per_token",
    "count_parameters",
    "forward_flops",
    "pair_products",
    "parameter_table",
    "training_bytes",
    "training_flops_per_token",
    "weight_bytes",
]
