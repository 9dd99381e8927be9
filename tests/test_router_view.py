"""RouterView: its knobs, its prompt box, what it refuses, and its still picture, without a browser."""

import re

import numpy as np
import pytest

from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import RouterView


def make(layers=3, tokens=9, experts=6, top_k=2, seed=0, **fields) -> RoutingTrace:
    logits = np.random.default_rng(seed).normal(size=(layers, tokens, experts))
    pieces = [f" t{i}" if i % 4 else "\n" for i in range(tokens)]
    return RoutingTrace.from_logits(logits, pieces, top_k=top_k, **fields)


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


def test_one_module_holds_everything_that_the_browser_needs():
    view = RouterView(make())
    assert not re.search(r"^import ", view._esm, re.MULTILINE)
    for name in ("function routeLayer(", "function slider(", "function expertColors(", "export default { render }"):
        assert view._esm.count(name) == 1, name


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
    ],
    ids=["no trace", "empty", "too long"],
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
    assert (view.layer, view.temperature, view.pinned, view.answered, view.message) == (2, 0.5, 3, 1, "")
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


def texts(figure) -> str:
    return "\n".join(text.get_text() for axis in figure.axes for text in axis.texts)


def axis_named(figure, name):
    return next(axis for axis in figure.axes if axis.get_label() == name)


def test_the_still_picture_follows_the_knobs():
    trace = make(tokens=40)
    view = RouterView(trace)
    view.layer, view.pinned = 1, 7
    first, second = trace.experts[1, 7]
    words = texts(view.figure())
    assert f"Layer 1: “ t7” goes to experts {first} ({trace.weights[1, 7, 0]:.2f}) and {second}" in words
    assert "This is what the model did." in words
    heights = [bar.get_height() for bar in axis_named(view.figure(), "load").patches]
    assert heights == trace.load_per_expert()[1].tolist()
    view.top_k = 1
    assert "What if: 50% of all choices differ" in texts(view.figure())
    assert sum(bar.get_height() for bar in axis_named(view.figure(), "load").patches) == 40
    scores = [bar.get_height() for bar in axis_named(view.figure(), "scores").patches]
    assert np.allclose(scores, view.routing()[1].scores[7])


@pytest.mark.parametrize(
    ("layers", "tokens", "experts", "top_k"), [(1, 1, 1, 1), (2, 3, 8, 8), (8, 256, 64, 6), (2, 1200, 4, 2)]
)
def test_every_size_has_a_still_picture_that_fits_a_page(layers, tokens, experts, top_k):
    trace = make(layers, tokens, experts, top_k, bias=np.full((layers, experts), -0.2))
    figure = RouterView(trace).figure()
    assert figure.get_figwidth() == 7
    assert figure.get_figheight() < 9


def test_signs_without_a_glyph_and_dollars_do_not_break_the_still_picture():
    trace = make(tokens=4)
    trace.pieces = ["$x$ \\", "🎉", "\\xff", "\t"]
    view = RouterView(trace, title="$5 🎉")
    assert "🎉" in view.facts["pieces"][1]
    view._repr_mimebundle_()
