"""Models so small that a test builds its own."""

import torch

from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig
from moe_lessons.model.transformer import Transformer

SPARSE = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8)
LATENT = LatentAttentionConfig(n_heads=2, kv_lora_rank=8, qk_nope_head_dim=6, qk_rope_head_dim=4, v_head_dim=6)


def small_config(**changes) -> ModelConfig:
    """Two dense layers of sixteen numbers; each setting may be another, `moe=SPARSE` makes mixtures of them."""
    sizes = {"vocab_size": 31, "dim": 16, "n_layers": 2, "hidden_dim": 24, "max_length": 32}
    return ModelConfig(**(sizes | {"attention": AttentionConfig(n_heads=2)} | changes))


def small_model(seed: int = 0, **changes) -> Transformer:
    """A model of `small_config`, with the weights of this seed."""
    return Transformer(small_config(**changes), seed=seed)


def some_tokens(config: ModelConfig, batch: int = 2, time: int = 12, seed: int = 0) -> torch.Tensor:
    """Random ids of the model's vocabulary, (batch, time)."""
    return torch.randint(0, config.vocab_size, (batch, time), generator=torch.Generator().manual_seed(seed))
