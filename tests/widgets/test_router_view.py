"""RouterView: its knobs, its prompt box and what it refuses, without a browser."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from router_samples import make, texts

from moe_lessons.tracing import RoutingTrace
from moe_lessons.tracing.rule import Knobs
from moe_lessons.widgets import RouterView


def test_its_repr_names_sizes_and_never_an_address():
    view = RouterView(make())
    assert repr(view) == "<RouterView: 9 tokens, 3 layers, 6 experts, top 2>"
    view.top_k = 1
    assert repr(view) == "<RouterView: 9 tokens, 3 layers, 6 experts, top 1 (knobs moved)>"


def test_the_browser_gets_the_arrays_of_the_trace():
    trace = make(bias=np.full((3, 6), 0.25))
    view = RouterView(trace)
    numbers = np.frombuffer(view.arrays[: 4 * (162 + 18 + 54)], "<f4")
    assert np.array_equal(numbers[:162].reshape(3, 9, 6), trace.logits)
    assert np.array_equal(numbers[162:180].reshape(3, 6), trace.bias)
    assert np.array_equal(numbers[180:].reshape(3, 9, 2), trace.weights)
    assert np.array_equal(np.frombuffer(view.arrays[4 * 234 :], "<u2").reshape(3, 9, 2), trace.experts)
    assert view.facts["pieces"] == trace.pieces


def test_unmoved_knobs_show_what_the_model_chose_even_against_the_rule():
    trace = make()
    trace.experts = trace.experts[..., ::-1].copy()  # a model that ranks the other way round
    view = RouterView(trace)
    assert not view.moved
    assert np.array_equal([routed.experts for routed in view.routing()], trace.experts)
    view.temperature = 2.0
    assert view.moved
    assert not np.array_equal([routed.experts for routed in view.routing()], trace.experts)
    view.reset()
    assert not view.moved


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer", 3, "layer is 3, but this trace has the layers 0, 1, 2"),
        ("pinned", 9, "pinned is 9, but the trace has the tokens 0 to 8"),
        ("top_k", 7, "top_k is 7, but must be from 1 to the 6 experts"),
        ("temperature", 0.0, "temperature is 0.0"),
        ("highlight", 6, "highlight is 6, but the experts are 0 to 5"),
        ("off", [0, 1, 2, 3, 4], "leaves too few for top_k 2"),
        ("noise", -0.5, "noise is -0.5"),
        ("seed", -1, "seed is -1"),
        ("capacity", -1.0, "capacity is -1.0"),
        ("bias", [0.5], "bias has 1 values, but there are 6 experts"),
        ("bias", [float("nan")] * 6, "bias has values that are not finite"),
        ("acts_on", 3, "layer is 3, but this trace has the layers 0, 1, 2"),
        ("top_groups", 2, "top_groups is 2, but must be from 1 to n_groups = 1"),
    ],
)
def test_a_knob_refuses_what_the_trace_lacks_and_keeps_its_value(name, value, words):
    view = RouterView(make())
    before = getattr(view, name)
    with pytest.raises(ValueError, match=words):
        setattr(view, name, value)
    assert getattr(view, name) == before


def test_a_layer_is_called_by_its_number_in_the_model():
    view = RouterView(make(layers=2).select(layers=[1]))
    assert view.layer == 1
    with pytest.raises(ValueError, match="the layers 1"):
        view.layer = 0


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ("text", "trace is a str, but must be a RoutingTrace"),
        (make(tokens=4).select(tokens=[]), "the trace has no tokens"),
        (make(layers=1, tokens=5000, experts=2), "the trace has 5,000 tokens, but at most 4,096 can be drawn"),
        (make(layers=1, tokens=1, experts=1025), "the trace has 1,025 experts, but at most 1,024 can be drawn"),
        (make(layers=1, tokens=100_000, experts=2), "100,000 tokens, .*; cut it with trace.select"),
    ],
    ids=["no trace", "empty", "too long", "too many experts", "far too long"],
)
def test_a_trace_that_cannot_be_drawn_is_refused(trace, words):
    with pytest.raises(ValueError, match=words):
        RouterView(trace)


def test_a_prompt_replaces_the_trace_and_keeps_the_knobs():
    answers = {"hello": make(tokens=4, seed=1)}
    view = RouterView(make(), ask=answers.__getitem__, prompts=["hello"])
    view.layer, view.temperature = 2, 0.5
    view._receive(view, {"ask": "hello"}, [])
    assert view.trace is answers["hello"]
    assert (view.layer, view.temperature, view.answered, view.message) == (2, 0.5, 1, "")
    assert any(sign.isalpha() for sign in view.trace.pieces[view.pinned])
    assert view.facts["tokens"] == 4


def test_a_trace_of_another_router_resets_the_knobs():
    view = RouterView(make())
    view.top_k, view.off, view.layer = 4, [5], 2
    view.trace = make(layers=1, experts=3, tokens=2, top_k=1)
    assert (view.top_k, view.off, view.layer, view.pinned) == (1, [], 0, 1)
    assert not view.moved


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("the prompt is empty;\ntype a text"), "The prompt is empty; type a text."),
        (KeyError("x"), "KeyError: 'x'."),
        (MemoryError(), "MemoryError."),
    ],
)
def test_a_failed_prompt_is_one_sentence_and_the_picture_stays(error, sentence):
    def ask(text: str) -> RoutingTrace:
        raise error

    trace = make()
    view = RouterView(trace, ask=ask)
    view.show("x")
    assert view.message == sentence
    assert view.trace is trace
    assert view.answered == 1
    view._asks = (lambda text: make(),)
    view.show("y")
    assert view.message == ""


def test_an_answer_that_is_no_trace_is_refused_in_the_view():
    view = RouterView(make(), ask=lambda text: None)
    view.show("x")
    assert view.message == "Trace is a NoneType, but must be a RoutingTrace; see record_routing."


def test_without_a_model_the_view_says_so():
    view = RouterView(make())
    view.show("x")
    assert "no model to ask" in view.message


# ---- more knobs


def test_knobs_are_one_value_that_can_be_read_and_set():
    view = RouterView(make())
    knobs = Knobs(top_k=3, noise=0.5, seed=9, capacity=1.25, dropping="priority", bias=(0, 0.2, 0, 0, 0, 0), off=(4,))
    view.knobs = knobs
    assert view.knobs == knobs and view.moved
    assert (view.top_k, view.off, view.bias[1]) == (3, [4], 0.2)
    view.reset()
    assert view.knobs == make().knobs and not view.moved
    with pytest.raises(ValueError, match="top_k is 9"):
        view.knobs = Knobs(top_k=9)
    assert view.knobs == make().knobs
    with pytest.raises(ValueError, match="too few"), view.hold_trait_notifications():
        view.top_k, view.off = 6, [1]
    assert view.knobs == make().knobs, "what is refused together is taken back together"


def test_a_seed_without_noise_and_a_rule_without_a_capacity_move_nothing():
    view = RouterView(make())
    view.seed, view.dropping = 5, "priority"
    assert not view.moved
    view.noise = 0.1
    assert view.moved


def test_routing_follows_the_knobs_in_the_layers_that_they_act_on():
    trace = make(tokens=20)
    view = RouterView(trace)
    view.knobs = knobs = Knobs(top_k=1, capacity=0.5, bias=(0.3, 0, 0, 0, 0, 0))
    for routed, want in zip(view.routing(), trace.routed(knobs), strict=True):
        assert np.array_equal(routed.experts, want.experts) and routed.dropped.any()
    view.acts_on = 1
    assert [routed.experts.shape[1] for routed in view.routing()] == [2, 1, 2]


def test_experts_in_groups_are_chosen_within_the_best_ones():
    trace = make(experts=8, n_groups=4, top_groups=2, tokens=30)
    view = RouterView(trace)
    assert view.top_groups == 2 and not view.moved
    view.top_groups = 1
    assert all((routed.experts // 2 == routed.experts[:, :1] // 2).all() for routed in view.routing())
    with pytest.raises(ValueError, match="1 of 4 groups may have only 2 experts"):
        view.top_k = 3


def test_what_the_browser_sends_is_followed_or_refused_in_one_sentence():
    view = RouterView(make(), ask=lambda text: make(seed=1))
    assert not view.can_apply
    view._receive(view, {"apply": {"top_k": 1}}, [])
    assert "no model to apply knobs to" in view.message and view.answered == 1
    view._receive(view, {"apply": {"top_k": 17}}, [])
    assert view.message.startswith("Top_k is 17") and view.top_k == 1 and view.answered == 2
    view._receive(view, {"keep": True}, [])
    assert view.compared is view.trace
    view._receive(view, {"ask": "x"}, [])
    assert view.compared is not view.trace and view.other_facts["tokens"] == 9
    view._receive(view, {"keep": False}, [])
    assert view.compared is None and view.other_facts == {}
    for nonsense in ("text", {"ask": 3}, {"apply": 1}, {"keep": "yes"}, {}):
        view._receive(view, nonsense, [])


def test_applied_knobs_are_forgotten_with_their_trace():
    def apply(trace, knobs, layers):
        read = replace(trace, nats=np.ones(9), guesses=[[("a", 0.5)]] * 9)
        return SimpleNamespace(before=read, after=read, routed=trace.routed(knobs, layers))

    view = RouterView(make(), apply=apply)
    view.top_k = 1
    view.apply()
    assert view.applied["knobs"]["top_k"] == 1 and "(knobs applied)" in repr(view)
    assert "Applied: in the model, 50%" in texts(view.figure())
    view.trace = make(seed=2)
    assert view.applied == {} and view.applied_logits == b"" and "(knobs moved)" in repr(view)


# ---- where it opens, and what is seen at once


def test_it_opens_on_a_word_in_a_layer_after_the_first():
    trace = make(tokens=8)
    trace.pieces = ["\n", " the", " ", " tokens", ".", " of", "?", "."]
    view = RouterView(trace)
    assert trace.pieces[view.pinned] == " tokens" and view.layer > 0
    view.layer = 0
    view.trace = make(seed=3)
    assert view.layer == 0, "a hand has chosen it"


def test_a_lesson_names_the_knobs_and_the_panels_that_are_seen_at_once():
    view = RouterView(make())
    assert (view.at_hand, view.panels) == (["layer", "top_k"], [])
    view = RouterView(make(), knobs=["layer", "temperature"], panels=["scores"])
    assert (view.at_hand, view.panels) == (["layer", "temperature"], ["scores"])
    assert view.knobs == make().knobs, "what they are called hides no knob"
    with pytest.raises(ValueError, match="knobs names 'heat', which RouterView lacks; choose from layer, top_k, "):
        RouterView(make(), knobs=("heat",))
    with pytest.raises(ValueError, match="panels names 'bins', .*; choose from layers, load, scores, guesses"):
        RouterView(make(), panels=("bins",))
