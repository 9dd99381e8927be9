"""Formulas for attention to long texts, hyper-connections and hash routes against tensors and torch's counter."""

from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shared_kv import COMPRESSED, MODEL, configs
from torch.utils.flop_counter import FlopCounterMode

from moe_lessons import ModelConfig, Transformer
from moe_lessons.accounting import cache_bytes, cache_bytes_per_token, count_parameters, forward_flops, parameter_table
from moe_lessons.accounting.flops import (
    positions_seen,
    positions_seen_causally,
    training_flops,
    training_flops_per_token,
)
from moe_lessons.config import TrainConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.model.experts import Experts
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers


@settings(max_examples=60, deadline=None)
@given(configs)
def test_the_formula_counts_what_the_module_holds(config):
    assert count_parameters(config) == count_parameters(Transformer(config, device="meta"))
    assert sum(part.total for part in parameter_table(config)) == count_parameters(config).total


@settings(max_examples=40, deadline=None)
@given(configs, st.integers(1, 50), st.sampled_from([torch.float32, torch.bfloat16]))
def test_bytes_equal_what_is_stored(config, length, dtype):
    cache = make_cache(config, 3, length, device="meta", dtype=dtype)
    assert cache.bytes == 3 * cache_bytes(config, length, dtype.itemsize)


def test_a_long_text_takes_a_window_and_the_shares_of_entries():
    far, farther = (cache_bytes(MODEL, length) for length in (16_000, 32_000))
    assert farther - far == 16_000 * cache_bytes_per_token(MODEL, 2)


def counted(work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def built(config: ModelConfig) -> Transformer:
    model = Transformer(config)
    for module in model.modules():
        if isinstance(module, Experts):
            module.strategy = "sorted"  # the counter sees its own thread alone
    return model


def seen_by_all(top_k: int) -> ModelConfig:
    """The small model with a window as long as the text."""
    sizes = COMPRESSED.compression
    compression = replace(sizes, indexer=replace(sizes.indexer, top_k=top_k))
    return replace(MODEL, attention=replace(COMPRESSED, window=64, compression=compression))


def test_reading_a_text_costs_what_the_counter_says_where_nothing_is_hidden():
    config, tokens = seen_by_all(99), torch.zeros(2, 24, dtype=torch.long)
    with torch.no_grad():
        assert counted(lambda: built(config)(tokens)) == forward_flops(config, 2, 24)


def test_what_an_indexer_does_not_pick_is_not_counted():
    """Our modules compute it and hide it."""
    few, all_seen, tokens = seen_by_all(2), seen_by_all(99), torch.zeros(2, 24, dtype=torch.long)
    with torch.no_grad():
        flops = counted(lambda: built(few)(tokens))
    hidden = positions_seen(all_seen, 24) - positions_seen(few, 24)
    assert hidden == 24 // 4 - 2
    assert flops == forward_flops(few, 2, 24) + 2 * 2 * 24 * hidden * 2 * COMPRESSED.n_heads * COMPRESSED.head_dim


@settings(max_examples=100, deadline=None)
@given(configs, st.integers(1, 200))
def test_what_a_texts_tokens_see_is_added_up_as_one_by_one(config, time):
    one_by_one = sum(positions_seen(config, here) for here in range(1, time + 1))
    assert positions_seen_causally(config, time) == one_by_one / time


def test_a_training_step_costs_what_the_counter_says():
    config, train = seen_by_all(99), TrainConfig(steps=1, optimizer="adamw")
    model = built(config)
    inputs, targets = torch.randint(0, config.vocab_size, (2, 2, 24))
    optimizers = build_optimizers(model, train)
    flops = counted(lambda: training_step(model, optimizers, inputs, targets, train, 1.0))
    assert flops == training_flops(config, 2, 24) == training_flops_per_token(config, 24) * 48
