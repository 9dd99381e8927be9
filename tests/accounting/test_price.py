"""Prices against published numbers, and speeds against what a step has to read and to multiply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons import ModelConfig
from moe_lessons.accounting import continuation_flops, training_flops_per_token
from moe_lessons.accounting.price import (
    PRECISIONS,
    Sizes,
    accelerators,
    devices_needed,
    flops_per_token,
    generation_speed,
    has_sizes,
    memory,
    sizes,
    training_hours,
    utilization,
)
from moe_lessons.cards import card_names

DEVICES = accelerators()
WRITTEN = {name: ModelConfig.from_card(name) for name in card_names(later=True)}
CONFIGS = {name: config for name, config in WRITTEN.items() if has_sizes(config)}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_models_numbers_give_the_accountings_flops_and_bytes(name):
    config, model = CONFIGS[name], sizes(CONFIGS[name])
    found = flops_per_token(model, 256)
    assert found.training == training_flops_per_token(config, 256, causal=True)
    assert found.generation == continuation_flops(config, 1, 1, 255)
    if config.moe:
        sparse = sum(config.is_sparse(layer) for layer in range(config.n_layers))
        expert = 3 * config.dim * config.moe.hidden_dim + config.moe.bias * (2 * config.moe.hidden_dim + config.dim)
        assert model.routed == pytest.approx(sparse * config.moe.n_routed_experts * expert)
    else:
        assert model.routed == 0


def test_models_that_pick_what_they_read_have_no_sizes():
    assert set(WRITTEN) - set(CONFIGS) == {"deepseek-v3.2", "deepseek-v4-flash", "deepseek-v4-pro"}
    for name in set(WRITTEN) - set(CONFIGS):
        with pytest.raises(ValueError, match="continuation_flops"):
            sizes(WRITTEN[name])


def test_every_accelerator_says_where_its_numbers_are_from():
    for device in DEVICES.values():
        assert device.source
        assert device.peak_at("fp32") == device.peak["bf16"] < 1e16
        assert device.peak.get("fp8", 2 * device.peak["bf16"]) / device.peak["bf16"] == pytest.approx(2, rel=1e-3)
    assert DEVICES["h800"].link == 400e9 < DEVICES["h100"].link


def test_published_hours_give_the_published_utilization():
    """arXiv:2412.19437, table 1 (2,664 thousand hours, 14.8 T tokens); arXiv:2505.09343, table 4 (38.94%, 43.73%)."""
    config = ModelConfig.from_card("deepseek-v3")
    for causal, published in ((True, 0.3894), (False, 0.4373)):
        flops = 14.8e12 * training_flops_per_token(config, 4096, causal=causal)
        found = utilization(flops, 2.664e6, DEVICES["h800"])
        assert found == pytest.approx(published, abs=0.002)
        assert training_hours(flops, DEVICES["h800"], found) == pytest.approx(2.664e6)


def test_one_text_alone_waits_for_memory_and_a_large_batch_for_arithmetic():
    model, device = sizes(CONFIGS["llama-3.1-8b"]), DEVICES["h100"]
    alone = generation_speed(model, device, n_devices=1, precision="bf16", batch=1, context=256)
    assert alone.bound == "memory"
    # Reading all weights once a token: bandwidth over bytes, the cache is small beside them.
    assert alone.tokens_per_second == pytest.approx(device.bandwidth / (2 * model.total), rel=0.01)
    many = generation_speed(model, device, n_devices=1, precision="bf16", batch=1024, context=256)
    assert many.bound == "arithmetic"


@given(st.integers(1, 4096))
def test_a_batch_touches_between_the_experts_of_one_token_and_all(batch):
    model, device = sizes(CONFIGS["deepseek-v3"]), DEVICES["h800"]
    speed = generation_speed(model, device, n_devices=16, precision="fp8", batch=batch, context=1024)
    read = speed.memory * 16 * device.bandwidth - memory(model, "fp8", batch, 1024).cache
    assert model.active * (1 - 1e-9) <= read <= model.total
    if batch == 1:
        assert read == pytest.approx(model.active)


def test_deepseek_v3_needs_several_devices_and_fewer_in_eight_bits():
    model, device = sizes(CONFIGS["deepseek-v3"]), DEVICES["h800"]
    needed = {name: devices_needed(model, device, name, 1, 4096) for name in PRECISIONS}
    assert needed == {"fp32": 34, "bf16": 17, "fp8": 9, "fp4": 5}


def test_more_parameters_at_work_than_in_all_are_refused_in_one_sentence():
    model = sizes(CONFIGS["course-moe"])
    with pytest.raises(ValueError, match="active is 9,999,999, but must lie between 1 and total"):
        model.with_parameters(1_000_000, 9_999_999)
    assert model.with_parameters(model.total, model.active) == model
    dense = sizes(CONFIGS["course-dense"])
    assert dense.with_parameters(10 * dense.total, dense.active).routed == pytest.approx(10 * dense.total)
    assert isinstance(dense, Sizes)
