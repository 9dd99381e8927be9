"""RoutingTrace keeps what a router did, can be cut, and its rule follows its definition."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.tracing import RoutingTrace
from moe_lessons.tracing.rule import route


def make(layers=3, tokens=7, experts=5, top_k=2, seed=0, **fields) -> RoutingTrace:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(layers, tokens, experts)).astype(np.float32)
    return RoutingTrace.from_logits(logits, [f" t{i}" for i in range(tokens)], top_k=top_k, **fields)


def slow_rule(logits, bias, top_k, score_function, normalize, route_scale, temperature, off):
    """One token, no numpy."""
    scaled = [value / temperature for value in logits]
    if score_function == "softmax":
        parts = [math.exp(value - max(scaled)) for value in scaled]
        scores = [part / sum(parts) for part in parts]
    else:
        scores = [1 / (1 + math.exp(-value)) for value in scaled]
    ranking = sorted((e for e in range(len(scores)) if e not in off), key=lambda e: (-(scores[e] + bias[e]), e))
    chosen = ranking[:top_k]
    total = sum(scores[e] for e in chosen) if normalize else 1
    return [route_scale * scores[e] / total for e in chosen], chosen, scores


@given(st.integers(1, 9), st.data())
def test_the_rule_equals_itself_written_out_for_one_token(n_experts, data):
    values = st.lists(st.sampled_from([-3.0, -0.5, 0.0, 0.25, 1.0, 4.0]), min_size=n_experts, max_size=n_experts)
    logits, bias = data.draw(values), [value / 8 for value in data.draw(values)]
    off = data.draw(st.sets(st.integers(0, n_experts - 1), max_size=n_experts - 1))
    top_k = data.draw(st.integers(1, n_experts - len(off)))
    settings = data.draw(
        st.tuples(
            st.sampled_from(["softmax", "sigmoid"]),
            st.booleans(),
            st.sampled_from([1.0, 2.5]),
            st.sampled_from([0.25, 1.0, 3.0]),
        )
    )
    got = route(np.float32([logits]), np.float32([bias]), top_k, *settings, off=sorted(off))
    weights, experts, scores = slow_rule(logits, np.float32(bias).tolist(), top_k, *settings, off)
    assert np.allclose(got.scores[0], scores, rtol=1e-12)
    # Sums taken in another order may differ in the last bit, and with it a tie between score plus bias.
    total = [score + b for score, b in zip(scores, bias, strict=True)]
    assert np.allclose([total[e] for e in got.experts[0]], [total[e] for e in experts], rtol=1e-9)
    if got.experts[0].tolist() == experts:
        assert np.allclose(got.weights[0], weights, rtol=1e-12)


def test_ties_go_to_the_lower_index():
    assert route(np.zeros((4, 64), np.float32), top_k=3).experts.tolist() == [[0, 1, 2]] * 4


def test_extreme_logits_stay_finite():
    logits = np.float32([[3e38, -3e38, 0.0], [1e4, 1e4, -1e4]])
    for score_function in ("softmax", "sigmoid"):
        routed = route(logits, np.float32([[0.0, 5.0, 0.0]]), 2, score_function, temperature=0.1)
        assert np.isfinite(routed.weights).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"top_k": 6}, "top_k is 6, but must be from 1 to the 5 experts"),
        ({"top_k": 0}, "top_k is 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"score_function": "max"}, "score_function is 'max'"),
        ({"off": [5]}, "expert 5 cannot be switched off"),
        ({"off": [0, 1, 2, 3]}, "leaves too few"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        route(np.zeros((2, 5), np.float32), **settings)


def test_a_trace_names_each_layer_and_each_expert_of_a_token_once():
    trace = make()
    with pytest.raises(ValueError, match="name each layer once"):
        replace(trace, layers=(0, 1, 1))
    with pytest.raises(ValueError, match="an expert twice for one token"):
        replace(trace, experts=np.zeros((3, 7, 2)))


def test_logits_that_cannot_be_routed_are_refused():
    with pytest.raises(ValueError, match="logits has 2 dimensions"):
        RoutingTrace.from_logits(np.zeros((7, 5)), ["a"] * 7)
    with pytest.raises(ValueError, match="zero experts"):
        RoutingTrace.from_logits(np.zeros((3, 7, 0)), ["a"] * 7)
    with pytest.raises(ValueError, match="bias has shape"):
        RoutingTrace.from_logits(np.zeros((3, 7, 5)), ["a"] * 7, bias=np.zeros(5))
    with pytest.raises(ValueError, match="not finite"):
        RoutingTrace.from_logits(np.full((3, 7, 5), np.nan), ["a"] * 7)


def test_load_counts_every_choice_once():
    trace = make(tokens=50)
    load = trace.load_per_expert()
    assert load.shape == (3, 5)
    assert (load.sum(axis=1) == 100).all()
    assert load[1, 3] == sum(3 in row for row in trace.experts[1].tolist())


def test_select_keeps_what_belongs_together():
    trace = make(layers=3, tokens=7)
    trace.layers = (2, 4, 6)
    part = trace.select(layers=[6, 2], tokens=[5, 1])
    assert part.layers == (6, 2)
    assert part.pieces == [" t5", " t1"]
    assert np.array_equal(part.logits, trace.logits[[2, 0]][:, [5, 1]])
    assert trace.select(tokens=slice(0, 0)).n_tokens == 0
    with pytest.raises(ValueError, match="layer is 0, but this trace has the layers 2, 4, 6"):
        trace.select(layers=[0])
