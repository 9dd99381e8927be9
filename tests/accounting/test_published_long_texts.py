"""Published models with attention to long texts, counted by formula against what their makers and users say."""

from dataclasses import replace

import pytest

from moe_lessons import ModelConfig, MoEConfig, RopeScaling
from moe_lessons.accounting import cache_bytes, continuation_flops, count_parameters
from moe_lessons.concerns import Gate, HyperConnectionConfig
from moe_lessons.long_texts import CompressionConfig, IndexerConfig, SharedKVAttentionConfig

MILLION = 2**20


def v4(first: str, dim: int, n_layers: int, moe: dict, top_k: int, **attention: int) -> ModelConfig:
    """DeepSeek-V4 (arXiv:2606.19348): two layers of one kind, then sparse and heavy ones in turn."""
    kinds = (2 * [first] + n_layers * ["sparse", "heavy"])[:n_layers]
    far = CompressionConfig(
        layers=kinds,
        indexer=IndexerConfig(n_heads=64, head_dim=128, top_k=top_k),
        rope_scaling=RopeScaling(factor=16, original_length=65_536, mscale=0.0),
    )
    shared = {"head_dim": 512, "rope_head_dim": 64, "window": 128, "output_rank": 1024, "compression": far}
    routed = {"top_k": 6, "n_shared_experts": 1, "n_hash_layers": 3, "expert_bias": True}
    return ModelConfig(
        vocab_size=129_280,
        dim=dim,
        n_layers=n_layers,
        hidden_dim=moe["hidden_dim"],
        max_length=MILLION,
        norm_eps=1e-6,
        tie_embeddings=False,
        attention=SharedKVAttentionConfig(**shared, **attention),
        moe=MoEConfig(score_function="sqrt_softplus", **routed, **moe),
        gate=Gate(limit=10.0),
        hyper_connections=HyperConnectionConfig(),
    )


# Sizes: the defaults of transformers' DeepseekV4Config, and for Pro its documentation and configuration file.
FLASH = v4(
    "window",
    4096,
    43,
    {"n_routed_experts": 256, "hidden_dim": 2048, "route_scale": 1.5},
    512,
    n_heads=64,
    q_lora_rank=1024,
    output_groups=8,
)
PRO = v4(
    "heavy",
    7168,
    61,
    {"n_routed_experts": 384, "hidden_dim": 3072, "route_scale": 2.5},
    1024,
    n_heads=128,
    q_lora_rank=1536,
    output_groups=16,
)
V3 = ModelConfig.from_card("deepseek-v3")
# The defaults of transformers' DeepseekV32Config are DeepSeek-V3's sizes with these.
V32 = replace(
    V3,
    max_length=MILLION,
    attention=replace(V3.attention, indexer=IndexerConfig(n_heads=64, head_dim=128, top_k=2048)),
)


@pytest.mark.parametrize(("config", "total", "active"), [(FLASH, 284, 13), (PRO, 1573, 49)], ids=["Flash", "Pro"])
def test_parameters_are_those_of_the_report(config, total, active):
    """arXiv:2606.19348, abstract: 284B with 13B at work, and 1.6T with 49B."""
    count = count_parameters(config)
    assert round(count.total / 1e9) == total
    assert round(count.active_without_embedding / 1e9) == active


def test_an_indexer_adds_little_to_the_model_and_takes_most_of_attention_away():
    assert count_parameters(V32).total / count_parameters(V3).total == pytest.approx(1.0013, abs=1e-4)
    far = continuation_flops(replace(V3, max_length=MILLION), 1, 1, 131_071)
    assert 9 < far / continuation_flops(V32, 1, 1, 131_071) < 10


def test_a_million_tokens_take_the_share_of_cache_and_flops_that_the_report_says():
    """arXiv:2606.19348, abstract: Pro needs 27% of V3.2's FLOPs and 10% of its cache, in fewer bits than here.

    9.62 GiB in 16 bits is what others count.
    """
    ours, before = cache_bytes(PRO, MILLION), cache_bytes(V32, MILLION)
    assert ours / 2**30 == pytest.approx(9.62, abs=0.02)
    assert before / ours == pytest.approx(8.7, abs=0.1)
    share = continuation_flops(PRO, 1, 1, MILLION - 1) / continuation_flops(V32, 1, 1, MILLION - 1)
    assert share == pytest.approx(0.27, abs=0.015)
