"""SamplingView: distributions and draws, alike in both languages, and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from in_node import javascript

from moe_lessons.model.generate import next_token_distribution
from moe_lessons.widgets import SamplingView
from moe_lessons.widgets.sampling_view.picture import draw_counts, sample_distribution, uniforms


def settings_and_logits() -> list[dict]:
    rng = np.random.default_rng(1)
    cases = [{"logits": [1, 1, 0, 1], "temperature": 1, "topK": 2, "topP": 1}]  # ties
    for _ in range(60):
        logits = np.round(rng.normal(size=rng.integers(1, 40)) * 3, 1)
        knobs = {"topK": int(rng.integers(0, 12)), "topP": float(rng.choice([1, rng.uniform(0.05, 1)]))}
        cases.append({"logits": logits.tolist(), "temperature": float(rng.choice([0, 0.3, 1, 2])), **knobs})
    return cases


def test_the_browser_shapes_the_distribution_as_python_does(node):
    cases = settings_and_logits()
    expression = "value.map((c) => Array.from(m.sampleDistribution(c.logits, c)))"
    found = javascript(node, "sampling_view/rule", expression, cases)
    for case, probabilities in zip(cases, found, strict=True):
        expected = sample_distribution(case["logits"], case["temperature"], case["topK"], case["topP"])
        np.testing.assert_allclose(probabilities, expected, atol=1e-12)
        assert sum(probabilities) == pytest.approx(1)


@given(
    arrays.arrays(np.float64, st.integers(1, 30), elements=st.integers(-8, 8)),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.sampled_from([1.0, 0.9, 0.51, 0.123]),
)
def test_without_top_k_the_distribution_is_the_one_that_generation_uses(logits, temperature, top_p):
    expected = next_token_distribution(torch.tensor(logits), temperature, top_p)
    np.testing.assert_allclose(sample_distribution(logits, temperature, 0, top_p), expected, atol=1e-9)


def test_top_k_keeps_the_k_likeliest_in_proportion():
    probabilities = sample_distribution(np.log([0.1, 0.5, 0.1, 0.3]), top_k=3)
    np.testing.assert_allclose(probabilities, [1 / 9, 5 / 9, 0, 3 / 9])


def test_a_seed_draws_the_same_tokens_in_the_browser_and_in_python(node):
    probabilities = sample_distribution(np.linspace(0, 4, 12), top_k=9)
    value = {"p": probabilities.tolist(), "seeds": [0, 1, 2**31, 2**32 - 1]}
    expression = "value.seeds.map((seed) => [m.uniforms(5, seed), m.drawCounts(value.p, 300, seed)])"
    found = javascript(node, "sampling_view/rule", expression, value)
    for seed, (numbers, counts) in zip(value["seeds"], found, strict=True):
        assert numbers == uniforms(5, seed)
        assert counts == draw_counts(probabilities, 300, seed).tolist()
        assert sum(counts) == 300


def test_draws_follow_the_distribution_and_never_take_what_was_cut_off():
    probabilities = sample_distribution(np.linspace(0, 4, 12), top_k=4)
    counts = draw_counts(probabilities, 10_000, seed=3)
    assert np.abs(counts / 10_000 - probabilities).max() < 0.02
    assert not counts[probabilities == 0].any()
    assert draw_counts(probabilities, 0, 0).tolist() == [0] * 12


def test_bad_logits_and_settings_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"have shape \(2,\), but must be \(3,\)"):
        SamplingView(np.zeros(2), list("abc"))
    with pytest.raises(ValueError, match="not finite"):
        SamplingView({"a": np.array([0, np.nan])}, ["x", "y"])
    with pytest.raises(ValueError, match="top_p is 0.0, but must be above 0 and at most 1"):
        SamplingView(np.zeros(2), ["x", "y"], top_p=0)
    with pytest.raises(ValueError, match="temperature is -1.0, but must be at least 0"):
        SamplingView(np.zeros(2), ["x", "y"], temperature=-1)
