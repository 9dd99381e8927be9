"""Windows and sinks in grouped-query attention, against the sum over what a position sees, written out."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import small_config, some_tokens

from moe_lessons import AttentionConfig, ModelConfig, Transformer
from moe_lessons.concerns import SlidingWindow
from moe_lessons.model.cache import KVCache, WindowedKVCache, make_cache
from moe_lessons.model.generate import generate
from moe_lessons.model.shaped_attention import ShapedAttention, visible

windows = st.builds(
    SlidingWindow,
    size=st.integers(1, 40),
    pattern=st.sampled_from([("windowed",), ("windowed", "full"), ("full", "full", "windowed")]),
    rope_theta=st.sampled_from([None, 100.0]),
)
shaped = st.builds(
    AttentionConfig,
    n_heads=st.just(4),
    n_kv_heads=st.sampled_from([1, 2, 4]),
    head_dim=st.sampled_from([4, 6]),
    qk_norm=st.booleans(),
    window=st.none() | windows,
    sinks=st.booleans(),
)


@torch.no_grad()
def build(attention: AttentionConfig, **changes) -> Transformer:
    """A model of three layers whose sinks differ from each other."""
    model = Transformer(small_config(attention=attention, n_layers=3, **changes), seed=1).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("sinks"):
            parameter.normal_(generator=torch.Generator().manual_seed(2))
    return model


def layer_of(window: int | None, sinks: bool, heads: int = 4, kv_heads: int = 2) -> ShapedAttention:
    sized = SlidingWindow(size=window) if window else None
    attention = AttentionConfig(n_heads=heads, n_kv_heads=kv_heads, head_dim=8, window=sized, sinks=sinks)
    return ShapedAttention(small_config(attention=attention), 0)


@pytest.mark.parametrize("sinks", [False, True])
@pytest.mark.parametrize("window", [None, 1, 3, 6, 9])
@pytest.mark.parametrize(("new", "time"), [(6, 6), (1, 6), (3, 6)])
@torch.no_grad()
def test_attention_is_the_sum_over_what_a_position_sees(new, time, window, sinks):
    layer = layer_of(window, sinks)
    if layer.sinks is not None:
        layer.sinks.normal_()
    q, k, v = torch.randn(2, 4, new, 8), torch.randn(2, 2, time, 8), torch.randn(2, 2, time, 8)
    result = layer.mix(q, k, v)
    for batch in range(2):
        for head in range(4):
            for row in range(new):
                end = time - new + row + 1
                first = max(0, end - (window or end))
                parts = (k[batch, head // 2, first:end] @ q[batch, head, row] / math.sqrt(8)).exp()
                rest = layer.sinks[head].exp() if layer.sinks is not None else 0
                expected = parts @ v[batch, head // 2, first:end] / (parts.sum() + rest)
                assert torch.allclose(result[batch, head, row], expected, atol=1e-6)


def test_a_window_as_wide_as_the_text_and_a_sink_that_takes_nothing_change_nothing():
    plain = AttentionConfig(n_heads=4, n_kv_heads=2)
    model, tokens = build(plain), some_tokens(small_config())
    for changes in ({"window": SlidingWindow(size=12)}, {"sinks": True}):
        other = build(replace(plain, **changes))
        other.load_state_dict(model.state_dict(), strict=False)
        for block in other.blocks:
            if block.attention.sinks is not None:
                block.attention.sinks.data.fill_(-1e9)
        assert (other(tokens) - model(tokens)).abs().max() < 1e-5


def test_a_token_outside_all_windows_changes_nothing():
    model = build(AttentionConfig(n_heads=4, window=SlidingWindow(size=3)))
    tokens = some_tokens(model.config, time=20)
    other = tokens.clone()
    other[:, 0] = (other[:, 0] + 1) % 31
    changed = (model(tokens) != model(other)).any(dim=-1).any(dim=0)
    assert changed.tolist() == [True] * 7 + [False] * 13  # three layers, each reaching two positions further


@given(shaped, st.integers(1, 31), st.integers(0, 9))
@torch.no_grad()
def test_what_a_cache_continues_is_what_is_read_at_once(attention, cut, seed):
    model = build(attention)
    tokens = some_tokens(model.config, time=32, seed=seed)
    expected = model(tokens)
    for cache in (make_cache(model.config, 2), KVCache(model.config, 2)):
        steps = [cut, *([1] * min(5, 32 - cut))]
        steps.append(32 - sum(steps))
        ends = torch.tensor(steps).cumsum(0).tolist()
        pieces = [model(tokens[:, b - n : b], cache) for n, b in zip(steps, ends, strict=True) if n]
        assert (torch.cat(pieces, dim=1) - expected).abs().max() < 1e-5


@given(shaped, st.integers(1, 9))
@torch.no_grad()
def test_texts_written_with_a_cache_are_those_written_without(attention, time):
    model = build(attention, max_length=64)
    prompt = some_tokens(model.config, time=time)
    cached, plain = (generate(model, prompt, 50, temperature=0.0, use_cache=use) for use in (True, False))
    assert torch.equal(cached, plain)


def test_windowed_layers_keep_no_more_than_their_window():
    window = SlidingWindow(size=8, pattern=("windowed", "windowed", "full"))
    config = small_config(attention=AttentionConfig(n_heads=2, window=window), n_layers=6, max_length=128)
    cache = make_cache(config, batch_size=3)
    assert isinstance(cache, WindowedKVCache)
    assert cache.bytes == 4 * 3 * 2 * 16 * (4 * 8 + 2 * 128)
    assert make_cache(config, max_length=5).bytes == 4 * 2 * 16 * 6 * 5


def test_a_shortened_cache_is_right_until_a_window_has_let_go():
    model = build(AttentionConfig(n_heads=2, window=SlidingWindow(size=8, pattern=("full", "windowed"))))
    tokens, cache = some_tokens(model.config, batch=1), make_cache(model.config)
    model(tokens[:, :8], cache)
    cache.truncate(5)
    other = (tokens[:, 5:] + 1) % 31
    expected = model(torch.cat([tokens[:, :5], other], dim=1))[:, 5:]
    assert (model(other, cache) - expected).abs().max() < 1e-5
    cache.truncate(12)
    with pytest.raises(ValueError, match="length is 10, but windowed layers have let go of all but the last 8 of 12"):
        cache.truncate(10)


@torch.no_grad()
def test_layers_with_a_base_of_their_own_turn_by_it():
    """A model of windowed layers alone, all as wide as the text, is a plain one with the windows' base."""
    tokens = some_tokens(small_config())
    window = SlidingWindow(size=32, rope_theta=50.0)
    ours = build(AttentionConfig(n_heads=4, rope_theta=10_000.0, window=window))
    plain = build(AttentionConfig(n_heads=4, rope_theta=50.0))
    assert (ours(tokens) - plain(tokens)).abs().max() < 1e-5


def test_a_mask_shows_as_many_positions_as_a_window_is_wide():
    seen = visible(9, 12, 4, torch.device("cpu"))
    for row in range(9):
        assert seen[row].nonzero()[:, 0].tolist() == list(range(row, row + 4))


def test_a_configuration_with_windows_and_sinks_survives_a_round_trip_and_a_plain_one_is_as_before():
    window = SlidingWindow(size=8, pattern=("windowed", "full"), rope_theta=100.0)
    config = small_config(attention=AttentionConfig(n_heads=2, window=window, sinks=True))
    assert ModelConfig.from_dict(config.to_dict()) == config
    listed = config.to_dict()
    listed["attention"]["window"]["pattern"] = ["windowed", "full"]  # as JSON has it
    assert ModelConfig.from_dict(listed) == config
    assert not {"window", "sinks"} & set(small_config().to_dict()["attention"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"size": 0}, ["size is 0", "at least 1"]),
        ({"size": 4, "pattern": ()}, ["pattern is empty"]),
        ({"size": 4, "pattern": ("sliding",)}, ["'sliding'", "'windowed' or 'full'"]),
        ({"size": 4, "pattern": ("full",)}, ["no 'windowed' layer"]),
        ({"size": 4, "rope_theta": 0.0}, ["rope_theta is 0.0"]),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(values, words):
    with pytest.raises(ValueError) as error:
        SlidingWindow(**values)
    assert all(word in str(error.value) for word in words)
