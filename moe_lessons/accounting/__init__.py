"""What a model costs, from its sizes alone: parameters and FLOPs."""

from moe_lessons.accounting.flops import forward_flops, training_flops_per_token
from moe_lessons.accounting.parameters import ParameterCount, count_parameters, parameter_table

__all__ = ["ParameterCount", "count_parameters", "forward_flops", "parameter_table", "training_flops_per_token"]
