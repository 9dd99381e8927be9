"""PlacementView: the browser places as the package does, and the still picture shows what all wait for."""

import re
import warnings

import numpy as np
import pytest
from in_node import javascript

from moe_lessons.parallel.placement import busiest, in_order, place
from moe_lessons.widgets import PlacementView

RNG = np.random.default_rng(0)


def loads(layers: int = 2, experts: int = 8) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        name: tuple(RNG.integers(1, 100, (2, layers, experts))) for name in ("all kinds", "german")
    }  # fmt: skip


def view(**knobs) -> PlacementView:
    return PlacementView(loads(), **knobs)


def test_the_browser_places_as_the_package_does(node):
    cases = []
    for _ in range(200):
        machines, each = int(RNG.choice([1, 2, 4, 8])), int(RNG.integers(1, 5))
        n = machines * each
        shape = [RNG.integers(0, 50, n), RNG.pareto(1.0, n), np.ones(n)][int(RNG.integers(3))]
        cases.append([shape.tolist(), machines, int(RNG.integers(0, n - each + 1)), (RNG.random(n) + 0.1).tolist()])
    expression = """value.map(([load, machines, extra, later]) => {
      const placement = m.place(load, load.length, machines, extra);
      return [placement, m.copiesOf(placement, load.length), m.busiest(m.workOf(placement, later)),
        m.place(undefined, load.length, machines, extra)];
    })"""
    found = javascript(node, "placement_view/rule", expression, cases)
    for (load, machines, extra, later), (placement, copies, high, ordered) in zip(cases, found, strict=True):
        want = place(np.array(load), machines, len(load) + extra * machines)
        assert placement == want.experts.tolist() and copies == want.replicas.tolist()
        assert high == pytest.approx(float(busiest(want.load(np.array(later)))))
        assert ordered == in_order(len(load), machines).experts.tolist()


def test_it_is_placed_for_the_earlier_load_and_works_on_the_later_one():
    both = {"a": (np.array([[9, 1, 1, 9]]), np.array([[1, 9, 9, 1]])), "b": (np.array([[1, 1, 9, 9]]),) * 2}
    assert PlacementView(both, machines=2).waiting() == [1.0]
    assert PlacementView(both, "b", "b", machines=2).waiting() == [1.0]
    assert PlacementView(both, "in order", "b", machines=2).waiting() == [1.8]
    assert PlacementView(both, "a", "b", machines=2).placement().experts.tolist() == [[0, 1], [2, 3]]
    assert PlacementView(both, "a", "b", machines=2, extra=2).waiting() == [1.0]  # everything everywhere


def test_the_words_name_the_machine_that_all_wait_for_and_what_replicas_cost(node):
    case = {"placement": [[0, 1, 2], [0, 3, 2]], "work": [[0.5, 0.5, 0.25], [0.5, 0, 0.25]], "n": 4, "at": 1}
    said = javascript(node, "placement_view/words", "m.verdict(value)", case | {"waits": [1.5, 1.25], "placed": True})
    assert said == [
        "Layer 1 waits for machine 0, at 1.25 times the mean; expert 0 alone is 40% of it.",
        "In all 2 layers together the experts take 1.38 times as long as in perfect balance.",
        "Kept more than once: 0 (twice), 2 (twice); 50% more experts in memory.",
    ]


def test_it_has_a_still_picture_and_a_repr_that_stays():
    shown = view(made_for="german", now="german", extra=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, metadata = shown._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    waits = shown.waiting()
    assert data["text/plain"] == (
        "<PlacementView: german on 4 machines, placed for german, 4 replicas: layer 0 waits for "
        f"{waits[0]:.2f} times the mean, all layers for {np.mean(waits):.2f}>"
    )
    assert f"All wait for {waits[0]:.2f}." in metadata["image/png"]["alt"]
    figure = shown.figure()
    assert figure.get_figwidth() <= 7
    heights = np.zeros(4)
    for bar in figure.axes[0].patches:
        heights[round(bar.get_x() + bar.get_width() / 2)] += bar.get_height()
    assert heights.max() == pytest.approx(waits[0]) and heights.mean() == pytest.approx(1)


def test_fewer_machines_leave_room_for_fewer_replicas():
    shown = view(made_for="german", extra=6)
    shown.machines = 2
    assert shown.extra == 4
    assert shown.placement().experts.tolist() == [list(range(8))] * 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"now": "latin"}, "now is 'latin', but must be one of: all kinds, german"),
        ({"made_for": "latin"}, "made_for is 'latin', but must be one of: all kinds, german, in order"),
        ({"layer": 2}, "layer is 2, but the layers are 0 to 1"),
        ({"machines": 3}, "n_machines is 3, but must divide the 8 experts into equal parts"),
        ({"extra": 7}, "extra is 7, but a machine has room for 0 to 6 experts twice"),
    ],
)
def test_knobs_that_make_no_sense_are_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        view(**change)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "loads needs at least one kind of text, none of them called 'in order'"),
        ({"a": (np.ones((1, 4)), np.ones((1, 3)))}, "the loads of 'a' must be two arrays, layers x experts"),
        ({"a": (np.zeros((1, 4)), np.ones((1, 4)))}, "the loads of 'a' must count choices, some in each layer"),
    ],
)
def test_loads_that_cannot_be_shown_are_refused_in_one_sentence(given, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        PlacementView(given)
