"""Latent attention of a usual size, and a small model that has it or another."""

from moe_lessons import LatentAttentionConfig, ModelConfig


def model_config(attention: LatentAttentionConfig, **changes) -> ModelConfig:
    sizes = {"vocab_size": 31, "dim": 24, "n_layers": 2, "hidden_dim": 32, "max_length": 64}
    return ModelConfig(**(sizes | {"attention": attention} | changes))


USUAL = LatentAttentionConfig(
    n_heads=3, q_lora_rank=10, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=6
)
