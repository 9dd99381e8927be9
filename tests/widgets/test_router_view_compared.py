"""RouterView of two traces: which tokens are the same, and how the choices for them differ."""

import numpy as np
import pytest
from router_samples import axis_named, make, texts

from moe_lessons.tracing.rule import Knobs
from moe_lessons.widgets import RouterView


def test_two_traces_of_the_same_tokens_are_compared_token_by_token():
    before, after = make(seed=0, model="before"), make(seed=1, model="after")
    view = RouterView(before, compare=after)
    assert np.frombuffer(view.partners, "<i4").tolist() == list(range(9))
    assert view.names == ["before", "after"]
    assert repr(view).endswith("top 2, compared with 9 tokens>")
    view.side, view.layer = 1, 0
    assert np.array_equal(view.routing()[0].experts, after.experts[0])
    same = np.mean([len(set(a) & set(b)) for a, b in zip(before.experts[0], after.experts[0], strict=True)]) / 2
    assert f"This is B. {same:.0%} of this layer’s choices for all 9 tokens agree with A." in texts(view.figure())


def test_two_prompts_of_different_length_are_compared_where_they_agree():
    long, short = make(tokens=9), make(tokens=5, seed=1)
    long.pieces, short.pieces = list("abcdefghi"), list("abXhi")
    view = RouterView(long, compare=short)
    assert np.frombuffer(view.partners, "<i4").tolist() == [0, 1, -1, -1, -1, -1, -1, 3, 4]
    assert view.names == ["abcdefghi", "abXhi"]
    for side in (0, 1):
        view.side = side
        view.top_k = 1 + side
        strips = axis_named(view.figure(), "layers").images
        assert [strip.get_array().shape[1] for strip in strips] == [(9, 5)[side]] * 3
        assert "choices for the 4 tokens that both have agree with" in texts(view.figure())
    short.pieces = list("VWXYZ")
    assert "No token has a counterpart in B." in texts(RouterView(long, compare=short).figure())


def test_moved_knobs_route_both_traces():
    a, b = make(seed=0), make(seed=1)
    view = RouterView(a, compare=b)
    view.knobs = knobs = Knobs(top_k=1, noise=1.0, seed=3)
    view.side = 1
    assert np.array_equal(view.routing()[2].experts, b.routed(knobs)[2].experts)


def test_a_pair_of_models_answers_a_prompt_together():
    first, second = make(seed=3), make(seed=4)
    view = RouterView(make(), ask=(lambda text: first, lambda text: second), compare=make(seed=1))
    view.show("x")
    assert view.trace is first and view.compared is second
    view._asks = (lambda text: make(seed=5), lambda text: make(experts=3))
    view.show("y")
    assert view.message.startswith("Compare has 3 experts in layers 0, 1, 2, but the trace has 6 experts")
    assert view.trace is first and view.compared is second


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (make(experts=4), "compare has 4 experts in layers 0, 1, 2, but the trace has 6 experts in layers 0, 1, 2"),
        (make(layers=1), "compare has 6 experts in layer 0, but"),
        (make(layers=1, tokens=5000), "the compare has 5,000 tokens"),
        ([1], "compare is a list, but must be a RoutingTrace"),
    ],
)
def test_traces_that_cannot_be_compared_are_refused(other, words):
    with pytest.raises(ValueError, match=words):
        RouterView(make(), compare=other)


def test_a_trace_of_another_model_ends_the_comparison():
    view = RouterView(make(), compare=make(seed=1))
    view.side = 1
    view.trace = make(layers=1, experts=3, tokens=2, top_k=1)
    assert view.compared is None and view.side == 0
    view.figure()


def test_knobs_are_not_applied_while_two_traces_are_compared():
    view = RouterView(make(), compare=make(seed=1), apply=lambda *_: None)
    view.apply()
    assert view.message == "Knobs are applied to one trace; stop comparing first."
