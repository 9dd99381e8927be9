"""Formulas against what is really there: tensors for parameters, torch's counter for FLOPs."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from moe_lessons import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig, Transformer
from moe_lessons.accounting import (
    cache_bytes_per_token,
    count_parameters,
    forward_flops,
    parameter_table,
    training_bytes,
    training_flops_per_token,
    weight_bytes,
)
from moe_lessons.concerns import Gate
from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.model.experts import Experts

sparse = {
    "top_k": st.integers(1, 2),
    "hidden_dim": st.integers(1, 9),
    "n_shared_experts": st.integers(0, 2),
    "n_dense_layers": st.integers(0, 1),
    "expert_bias": st.booleans(),
    "noise": st.booleans(),
}
moes = st.none() | st.builds(MoEConfig, n_routed_experts=st.integers(2, 6), **sparse)
moes |= st.builds(MoEConfig, n_routed_experts=st.sampled_from([4, 6]), n_groups=st.just(2), **sparse)
grouped = st.builds(
    AttentionConfig,
    n_heads=st.just(4),
    n_kv_heads=st.sampled_from([1, 2, 4]),
    head_dim=st.sampled_from([None, 6]),
    qk_norm=st.booleans(),
    bias=st.booleans(),
    sinks=st.booleans(),
) | st.builds(AttentionConfig, n_heads=st.just(4), n_kv_heads=st.sampled_from([1, 2]), joint_qk_norm=st.just(True))
latent = st.builds(
    LatentAttentionConfig,
    n_heads=st.integers(1, 3),
    q_lora_rank=st.none() | st.integers(1, 9),
    kv_lora_rank=st.integers(1, 9),
    qk_nope_head_dim=st.integers(1, 5),
    qk_rope_head_dim=st.sampled_from([2, 4]),
    v_head_dim=st.integers(1, 5),
)
indexed = st.builds(
    LatentAttentionConfig,
    n_heads=st.integers(1, 3),
    q_lora_rank=st.integers(1, 9),
    kv_lora_rank=st.integers(1, 9),
    qk_nope_head_dim=st.integers(1, 5),
    qk_rope_head_dim=st.sampled_from([2, 4]),
    v_head_dim=st.integers(1, 5),
    indexer=st.builds(
        # Of a single head, torch sums without a product.
        IndexerConfig,
        n_heads=st.integers(2, 3),
        head_dim=st.integers(4, 7),
        top_k=st.sampled_from([1, 5, 99]),
    ),
)
sizes = {
    "vocab_size": st.integers(3, 40),
    "dim": st.sampled_from([8, 16]),
    "n_layers": st.integers(2, 3),
    "hidden_dim": st.integers(1, 20),
    "max_length": st.just(16),
    "attention": grouped | latent | indexed,
    "tie_embeddings": st.booleans(),
}
configs = st.builds(ModelConfig, moe=moes, mtp_depth=st.integers(0, 2), **sizes)
biased = st.builds(
    MoEConfig, n_routed_experts=st.integers(2, 6), bias=st.just(True), **sparse | {"noise": st.just(False)}
)
configs |= st.builds(
    ModelConfig,
    moe=moes | biased,
    gate=st.sampled_from([None, Gate(activation="gelu"), Gate(sharpness=1.7, limit=7.0, shift=1.0)]),
    output_norms=st.booleans(),
    embedding_scale=st.sampled_from([None, 3.0]),
    logit_cap=st.sampled_from([None, 30.0]),
    **sizes,
)


@settings(max_examples=60, deadline=None)
@given(configs)
def test_the_formula_counts_what_the_module_holds(config):
    assert count_parameters(config) == count_parameters(Transformer(config, device="meta"))


@settings(max_examples=25, deadline=None)
@given(configs)
def test_active_parameters_are_those_that_a_token_moves(config):
    """One token's loss leaves a gradient on every active parameter but the embedding's other rows, and on no other."""
    model = Transformer(config, seed=1)
    model(torch.tensor([[1]])).logsumexp(-1).sum().backward()
    used = 0
    for name, parameter in model.named_parameters():
        if name.startswith("mtp."):
            assert parameter.grad is None  # it looks further ahead than this loss
            continue
        if ".experts." in name:
            used += int(parameter.grad.flatten(1).abs().sum(1).gt(0).sum()) * parameter[0].numel()
        else:
            used += parameter.numel()
    used += sum(buffer.numel() for name, buffer in model.named_buffers() if not name.startswith("mtp."))
    assert used == count_parameters(config).active


@settings(max_examples=15, deadline=None)
@given(configs, st.integers(1, 3), st.integers(2, 16))
def test_forward_flops_equal_torchs_counter(config, batch, time):
    model, x = Transformer(config), torch.zeros(batch, time, dtype=torch.long)
    for module in model.modules():
        if isinstance(module, Experts):
            module.strategy = "sorted"  # the counter sees its own thread alone, and others take several
    # Only the plain backend is counted on the CPU: the fused one is a single unknown operation to the counter.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(x)
    assert forward_flops(config, batch, time) == counter.get_total_flops()


@settings(max_examples=20, deadline=None)
@given(configs, st.sampled_from([torch.float32, torch.bfloat16]))
def test_bytes_equal_what_is_stored(config, dtype):
    cache = make_cache(config, 3, 5, device="meta", dtype=dtype)
    assert cache.bytes == 3 * 5 * cache_bytes_per_token(config, dtype.itemsize)
    model = Transformer(config, device="meta").to(dtype)
    stored = sum(t.numel() for t in (*model.parameters(), *model.buffers())) * dtype.itemsize
    assert stored == weight_bytes(config, dtype.itemsize)
    assert training_bytes(config) == 16 * count_parameters(config).total


def test_a_training_step_costs_three_forward_passes():
    config = ModelConfig.from_card("course-dense")
    assert training_flops_per_token(config, 128) == 3 * forward_flops(config, 1, 128) / 128


def test_the_table_names_every_part_once_a_layer():
    config = ModelConfig.from_card("course-moe")
    names = [(part.layer, part.name) for part in parameter_table(config)]
    assert len(names) == len(set(names))
    assert sum(part.total for part in parameter_table(config)) == count_parameters(config).total
