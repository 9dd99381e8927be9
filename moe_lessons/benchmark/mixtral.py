"""Hugging Face's Mixtral block, in every way that `transformers` offers to compute its experts."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from moe_lessons.model.moe import MoE


def mixtral_blocks(layer: MoE) -> Iterator[tuple[str, nn.Module]]:
    """The name of each `experts_implementation`, and a block with it, with the weights of our layer.

    Raises ImportError without transformers.
    """
    from transformers import MixtralConfig
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    n_experts, dim, hidden = layer.experts.down.shape
    for name in ("eager", *sorted(ALL_EXPERTS_FUNCTIONS.valid_keys())):
        option: dict[str, Any] = {"experts_implementation": name}  # which its signature does not list
        config = MixtralConfig(
            hidden_size=dim,
            intermediate_size=hidden,
            num_local_experts=n_experts,
            num_experts_per_tok=layer.router.top_k,
            **option,
        )
        with torch.device("meta"):
            block = MixtralSparseMoeBlock(config)
        weights = {
            "gate.weight": layer.router.weight,
            "experts.gate_up_proj": layer.experts.gate_up,
            "experts.down_proj": layer.experts.down,
        }
        block.load_state_dict({name: weight.detach().clone() for name, weight in weights.items()}, assign=True)
        yield name, block
