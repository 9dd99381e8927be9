"""Small models with one vector a token as key and value: one with all kinds of layers, and drawn ones."""

from hypothesis import strategies as st

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

indexers = st.builds(
    IndexerConfig, n_heads=st.integers(1, 3), head_dim=st.integers(4, 7), top_k=st.sampled_from([1, 5, 99])
)
compressions = st.builds(
    CompressionConfig,
    layers=st.lists(st.sampled_from(["window", "sparse", "heavy"]), min_size=2, max_size=2),
    indexer=indexers,
    sparse_rate=st.integers(1, 4),
    heavy_rate=st.sampled_from([3, 20]),
)
shared = st.builds(
    SharedKVAttentionConfig,
    n_heads=st.just(4),
    head_dim=st.sampled_from([4, 6]),
    rope_head_dim=st.sampled_from([2, 4]),
    q_lora_rank=st.integers(1, 9),
    window=st.sampled_from([1, 3, 20]),
    output_groups=st.sampled_from([1, 2, 4]),
    output_rank=st.integers(1, 5),
    sinks=st.booleans(),
    compression=st.none() | compressions,
)
hashed = st.builds(
    MoEConfig,
    n_routed_experts=st.integers(2, 6),
    top_k=st.integers(1, 2),
    hidden_dim=st.integers(1, 9),
    n_shared_experts=st.integers(0, 2),
    n_dense_layers=st.integers(0, 1),
    n_hash_layers=st.integers(0, 1),
    expert_bias=st.booleans(),
)
configs = st.builds(
    ModelConfig,
    vocab_size=st.integers(3, 40),
    dim=st.sampled_from([8, 16]),
    n_layers=st.just(2),
    hidden_dim=st.integers(1, 20),
    max_length=st.just(64),
    attention=shared,
    moe=st.none() | hashed,
    gate=st.sampled_from([None, Gate(limit=1.0)]),
    hyper_connections=st.none() | st.builds(HyperConnectionConfig, n_streams=st.integers(1, 4)),
    tie_embeddings=st.booleans(),
)
