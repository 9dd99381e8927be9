"""FLOP and byte formulas against torch's counter and the tensors themselves, for every configuration of the lessons."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from moe_lessons import LatentAttentionConfig, ModelConfig, Transformer
from moe_lessons.accounting import (
    cache_bytes,
    cache_bytes_per_token,
    cached_pair_products,
    continuation_flops,
    forward_flops,
    pair_products,
    token_products,
    training_flops,
    training_flops_per_token,
    weight_bytes,
)
from moe_lessons.benchmark.next_token import LATENT
from moe_lessons.concerns import Gate, SlidingWindow
from moe_lessons.config import TrainConfig
from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.model.experts import Experts
from moe_lessons.model.shaped_attention import visible
from moe_lessons.studies.scaling import LAYERS, scaled
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers

CARDS = ["course-dense", "course-moe", "text-dense", "text-moe"]
COURSE = {name: ModelConfig.from_card(name) for name in CARDS}
COURSE |= {f"study-{kind}-{dim}": scaled(kind, dim, LAYERS[dim]) for kind in ("dense", "moe") for dim in LAYERS}
MOE = COURSE["course-moe"]
WIDE = replace(MOE.moe, n_routed_experts=32, top_k=4, hidden_dim=96)
# What lessons 09, 10 and 11 make of the course's model.
INDEXED = LatentAttentionConfig(
    n_heads=4,
    q_lora_rank=48,
    kv_lora_rank=32,
    qk_nope_head_dim=32,
    qk_rope_head_dim=16,
    v_head_dim=32,
    indexer=IndexerConfig(n_heads=3, head_dim=24, top_k=10),
)
COURSE |= {
    "fine": replace(MOE, moe=WIDE),
    "shared": replace(MOE, moe=replace(WIDE, top_k=3, n_shared_experts=1, n_dense_layers=1)),
    "sigmoid groups": replace(MOE, moe=replace(WIDE, score_function="sigmoid", n_groups=4, top_groups=2)),
    "noise": replace(MOE, moe=replace(MOE.moe, noise=True)),
    "latent": replace(MOE, attention=LATENT),
    "latent with queries' latents": replace(COURSE["course-dense"], attention=replace(INDEXED, indexer=None)),
    "indexed": replace(COURSE["course-dense"], attention=INDEXED, mtp_depth=1, n_layers=2),
    "indexed, few": replace(
        MOE, attention=replace(INDEXED, indexer=IndexerConfig(n_heads=2, head_dim=16, top_k=30)), n_layers=2
    ),
    "sinks, biases and caps": replace(
        MOE,
        attention=replace(MOE.attention, sinks=True, bias=True, score_cap=5.0, query_scalar=9.0),
        moe=replace(WIDE, bias=True),
        gate=Gate(sharpness=1.702, limit=7.0, shift=1.0),
        output_norms=True,
        embedding_scale=3.0,
        logit_cap=9.0,
    ),
    "two modules ahead": replace(MOE, mtp_depth=2),
    "all at once": replace(
        MOE, attention=LATENT, mtp_depth=1, moe=replace(WIDE, n_shared_experts=1, n_dense_layers=1, n_groups=4)
    ),
}
each = pytest.mark.parametrize("config", COURSE.values(), ids=COURSE.keys())


def built(config: ModelConfig) -> Transformer:
    """The model, with experts on this thread alone: the counter does not see other threads."""
    model = Transformer(config)
    for module in model.modules():
        if isinstance(module, Experts):
            module.strategy = "sorted"
    return model


def counted(work) -> int:
    # The fused attention of the CPU is one unknown operation to the counter.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@each
def test_reading_a_text_costs_what_the_counter_says(config):
    model = built(config)
    with torch.no_grad():
        flops = counted(lambda: model(torch.zeros(2, 24, dtype=torch.long)))
    assert flops == forward_flops(config, 2, 24)


@each
def test_a_training_step_costs_what_the_counter_says(config):
    model, train = built(config), TrainConfig(steps=1, optimizer="adamw")
    inputs, targets = torch.randint(0, config.vocab_size, (2, 2, 24))
    optimizers = build_optimizers(model, train)
    flops = counted(lambda: training_step(model, optimizers, inputs, targets, train, 1.0))
    assert flops == training_flops(config, 2, 24)
    if not config.mtp_depth:
        assert flops == training_flops_per_token(config, 24) * 48


@each
@pytest.mark.parametrize(("new", "past"), [(1, 0), (1, 40), (3, 40), (16, 0), (12, 4)])
def test_continuing_a_text_from_the_cache_costs_what_the_counter_says(config, new, past):
    model, cache = built(config), make_cache(config, 2, 64)
    with torch.no_grad():
        if past:
            model(torch.zeros(2, past, dtype=torch.long), cache)
        flops = counted(lambda: model(torch.zeros(2, new, dtype=torch.long), cache))
    assert flops == continuation_flops(config, 2, new, past)


@each
def test_bytes_of_weights_and_cache_are_those_of_the_tensors(config):
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn):
        model = Transformer(config, device="meta").to(dtype)
        stored = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
        assert stored == weight_bytes(config, dtype.itemsize)
        cache = make_cache(config, 2, 32, device="meta", dtype=dtype)
        assert cache.bytes == 2 * 32 * cache_bytes_per_token(config, dtype.itemsize)


def test_a_dense_model_of_405_billion_is_counted_without_its_weights():
    config = ModelConfig.from_card("llama-3.1-405b")
    model = Transformer(config, device="meta")
    with torch.no_grad():
        flops = counted(lambda: model(torch.zeros(1, 64, dtype=torch.long, device="meta")))
    assert flops == forward_flops(config, 1, 64)


def test_generating_far_into_a_text_is_linear_in_its_length():
    for name in ("deepseek-v3", "mixtral-8x7b", "course-moe"):
        config = ModelConfig.from_card(name)
        products = token_products(config) + config.n_layers * cached_pair_products(config) * 100
        assert continuation_flops(config, 1, 1, 99) == 2 * products


def test_pairs_that_a_mask_hides_are_nearly_half_of_attention():
    config = ModelConfig.from_card("deepseek-v3")
    all_pairs, seen = training_flops_per_token(config, 4096), training_flops_per_token(config, 4096, causal=True)
    without = training_flops_per_token(config, 0)
    assert (seen - without) / (all_pairs - without) == pytest.approx(4097 / 8192)
    # arXiv:2505.09343, table 2, counts 250 GFLOPs a token at this length.
    assert seen / 1e9 == pytest.approx(250, abs=1)
    assert training_flops_per_token(ModelConfig.from_card("deepseek-v2"), 4096, causal=True) / 1e9 == pytest.approx(
        155, abs=1
    )


WINDOWED = replace(
    COURSE["course-dense"],
    attention=replace(
        COURSE["course-dense"].grouped_attention, window=SlidingWindow(size=8, pattern=("windowed", "windowed", "full"))
    ),
)


@pytest.mark.parametrize("past", [0, 3, 7, 8, 40])
def test_a_token_behind_a_window_costs_no_more_than_the_window(past):
    model, cache = built(WINDOWED), make_cache(WINDOWED, 2, 64)
    with torch.no_grad():
        if past:
            model(torch.zeros(2, past, dtype=torch.long), cache)
        flops = counted(lambda: model(torch.zeros(2, 1, dtype=torch.long), cache))
    assert flops == continuation_flops(WINDOWED, 2, 1, past)
    windowed = sum(WINDOWED.grouped_attention.window_of(layer) is not None for layer in range(WINDOWED.n_layers))
    seen = windowed * min(past + 1, 8) + (WINDOWED.n_layers - windowed) * (past + 1)
    heads = WINDOWED.grouped_attention.sizes
    assert flops == 4 * (token_products(WINDOWED) + 2 * heads.n_heads * heads.head_dim * seen)


def test_reading_with_windows_costs_less_than_twice_the_pairs_that_are_counted():
    with torch.no_grad():
        flops = counted(lambda: built(WINDOWED)(torch.zeros(1, 64, dtype=torch.long)))
    rest = 2 * 64 * token_products(WINDOWED)
    least = forward_flops(WINDOWED, 1, 64) - rest
    assert least < flops - rest < 2 * least


@pytest.mark.parametrize("length", [1, 8, 9, 64])
def test_a_cache_with_windows_takes_the_bytes_that_are_counted(length):
    assert make_cache(WINDOWED, 3, length).bytes == 3 * cache_bytes(WINDOWED, length, 4)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 30])
def test_causal_pairs_within_windows_are_those_that_a_mask_shows(length):
    layers = [WINDOWED.grouped_attention.window_of(layer) for layer in range(WINDOWED.n_layers)]
    seen = sum(int(visible(length, length, window, torch.device("cpu")).sum()) for window in layers)
    flops = training_flops_per_token(WINDOWED, length, causal=True)
    assert flops == pytest.approx(6 * (token_products(WINDOWED) + pair_products(WINDOWED) * seen / length))
