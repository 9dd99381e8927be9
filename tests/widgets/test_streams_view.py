"""StreamsView: the same numbers in the browser, in its still picture and in the model's own function."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from in_node import javascript

from moe_lessons.model.hyper_connections import StreamWeights, doubly_stochastic, write_streams
from moe_lessons.widgets import StreamsView
from moe_lessons.widgets.streams_view import DEEPEST
from moe_lessons.widgets.streams_view.mixing import EPS, apart, mixing, sizes, through

CASES = list(itertools.product((2, 4, 5), (0.0, 0.3, 8.0), (0, 1, 2, 20), (0.0, 4.0)))


def state(view: StreamsView) -> dict:
    given = {name: getattr(view, name) for name in ("streams", "size", "iterations", "depth", "own")}
    noise, first = (np.frombuffer(given_bytes, "<f4").tolist() for given_bytes in (view.noise, view.first))
    return given | {"noise": noise, "first": first}


def test_a_mixing_is_what_the_models_own_function_makes():
    noise = np.random.default_rng(0).standard_normal((7, 4, 4))
    for steps, own in ((1, 4.0), (2, 0.0), (20, 4.0)):
        logits = torch.from_numpy(own * np.eye(4) + 2 * noise)[None]
        theirs = doubly_stochastic(logits, steps, EPS)[0].numpy()
        assert mixing(noise, 2.0, steps, own) == pytest.approx(theirs, abs=1e-9)
    assert (mixing(noise, 2.0, 0, 4.0) == np.eye(4) + 2 * noise).all()


def test_the_streams_pass_as_in_a_layer_that_adds_nothing():
    rng = np.random.default_rng(1)
    first, matrices = rng.standard_normal((4, 6)), rng.random((3, 4, 4))
    now = torch.from_numpy(first)[None, None]
    for point, matrix in enumerate(matrices):
        weights = StreamWeights(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4), torch.from_numpy(matrix)[None, None])
        now = write_streams(now, torch.zeros(1, 1, 6, dtype=torch.float64), weights)
        assert through(first, matrices)[point + 1] == pytest.approx(now[0, 0].numpy())


def test_the_browser_mixes_as_python_does(node):
    views = [
        StreamsView(streams=streams, size=size, iterations=iterations, own=own, depth=depth, seed=depth)
        for (streams, size, iterations, own), depth in zip(CASES, itertools.cycle((1, 9, 40)), strict=False)
    ]
    expression = "value.map((given) => m.through(given))"
    for view, found in zip(views, javascript(node, "streams_view/rule", expression, [*map(state, views)]), strict=True):
        states = view.states()
        assert np.array(found["sizes"]) == pytest.approx(sizes(states), rel=1e-9)
        assert np.array(found["matrix"]) == pytest.approx(view.matrices()[-1].ravel(), rel=1e-9, abs=1e-12)
        assert found["apart"] == pytest.approx(apart(states)[-1], rel=1e-6, abs=1e-9)


def test_eight_streams_that_grow_most_are_still_numbers(node):
    view = StreamsView(streams=8, size=8.0, iterations=0, depth=DEEPEST)
    states = view.states()
    with np.errstate(over="raise"):
        ends, left = sizes(states)[-1], apart(states)[-1]
    exactly = [math.isqrt(sum(int(x) ** 2 for x in stream) // 8) for stream in states[-1]]  # no limit, no rounding
    assert ends == pytest.approx([float(size) for size in exactly]) and ends.max() > 1e160
    found = javascript(node, "streams_view/rule", "m.through(value)", state(view))
    assert found["sizes"][-1] == pytest.approx(ends, rel=1e-9) and found["apart"] == pytest.approx(left)


def test_sums_are_those_of_rows_and_columns(node):
    matrix = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    found = javascript(node, "streams_view/rule", "m.sums(value, 3)", list(itertools.chain(*matrix)))
    assert found == {"rows": [6, 15, 25], "columns": [12, 15, 19]}


def test_no_setting_makes_streams_grow_once_there_is_an_iteration():
    for size, iterations, own in itertools.product((0.0, 1.0, 8.0), (1, 20), (0.0, 4.0)):
        view = StreamsView(size=size, iterations=iterations, own=own, depth=DEEPEST)
        values = np.abs(view.states()).max(axis=(1, 2))
        assert values[-1] <= values[0] * 1.001
    assert sizes(StreamsView(size=0.5, iterations=0).states())[-1].max() > 1e3


def test_numbers_are_short_in_every_size(node):
    given = [0.004, -0.004, -1.234, 12.3, -456.0, 1.2e6]
    found = javascript(node, "streams_view/view", "value.map(m.short)", given)
    assert found == ["0.00", "0.00", "−1.23", "12", "−456", "1e6"]
    assert javascript(node, "streams_view/view", "value.map(m.times)", [0, 0.5, 12, 543, 3.2e9, 2e-5]) == [
        "0", "0.5", "12", "540", "3e9", "2e−5",
    ]  # fmt: skip


def test_the_browser_says_in_one_sentence_what_it_cannot_draw(node):
    good = state(StreamsView())
    bad = [{"streams": 1}, {"depth": 0}, {"iterations": -1}, {"size": -1}]
    found = javascript(node, "streams_view/rule", "value.map(m.problem)", [good, *(good | each for each in bad)])
    assert found == [
        "",
        "There are 1 streams, but two at least can mix.",
        "The depth is 0, but must be from 1 to 128.",
        "Iterations are -1, but must be from 0 to 50.",
        "Size and own logit must be 0 or more.",
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": -0.1}, "size is -0.1, but must be at least 0 and at most 8"),
        ({"iterations": 51}, "iterations is 51, but must be at least 0 and at most 50"),
        ({"depth": 0}, "depth is 0, but must be at least 1 and at most 128"),
        ({"own": 9.0}, "own is 9.0, but must be at least 0 and at most 8"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_picture_stays(change, sentence):
    view = StreamsView()
    before = repr(view)
    [(name, value)] = change.items()
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        setattr(view, name, value)
    assert repr(view) == before
    with pytest.raises(ValueError, match="^streams is 1, but must be from 2 to 8"):
        StreamsView(streams=1)


def test_the_still_picture_holds_every_stream_and_every_sum():
    view = StreamsView(size=2.0, iterations=1, depth=12)
    left, right = view.figure().axes
    curves = [line for line in right.lines if len(line.get_xdata()) == 13]
    assert len(curves) == 4
    assert [line.get_ydata()[-1] for line in curves] == pytest.approx(sizes(view.states())[-1])
    written = [text.get_text() for text in left.texts]
    assert len(written) == 16 + 8 and written.count("1.00") >= 4
    assert repr(view).startswith("<StreamsView: Sinkhorn, 1 iteration, size 2: after 12 mixings")
    for iterations, size in ((0, 8.0), (0, 0.0), (50, 8.0)):
        StreamsView(size=size, iterations=iterations, depth=DEEPEST).figure().draw_without_rendering()
