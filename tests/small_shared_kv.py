"""A small model with one vector a token as key and value, all kinds of layers, streams and hash routes."""

from moe_lessons import ModelConfig, MoEConfig
from moe_lessons.concerns import Gate, HyperConnectionConfig
from moe_lessons.long_texts import CompressionConfig, IndexerConfig, SharedKVAttentionConfig

COMPRESSED = SharedKVAttentionConfig(
    n_heads=4,
    head_dim=12,
    rope_head_dim=4,
    q_lora_rank=10,
    window=6,
    output_groups=2,
    output_rank=5,
    compression=CompressionConfig(
        layers=("window", "sparse", "heavy"),
        indexer=IndexerConfig(n_heads=16, head_dim=8, top_k=3),
        sparse_rate=4,
        heavy_rate=8,
        rope_theta=100.0,
    ),
)
MODEL = ModelConfig(
    vocab_size=31,
    dim=24,
    n_layers=3,
    hidden_dim=32,
    max_length=128,
    attention=COMPRESSED,
    moe=MoEConfig(
        n_routed_experts=6,
        top_k=2,
        hidden_dim=8,
        n_shared_experts=1,
        n_hash_layers=1,
        score_function="sqrt_softplus",
        expert_bias=True,
        route_scale=1.5,
    ),
    gate=Gate(limit=0.5),
    hyper_connections=HyperConnectionConfig(),
)
