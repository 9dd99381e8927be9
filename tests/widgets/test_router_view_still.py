"""RouterView's still picture: the same bins and ribbons, at rest."""

import numpy as np
import pytest
from router_samples import axis_named, make, texts

from moe_lessons.tracing.rule import Knobs
from moe_lessons.widgets import RouterView


def test_the_still_picture_follows_the_knobs():
    trace = make(tokens=40)
    view = RouterView(trace)
    view.layer, view.pinned = 1, 7
    first, second = trace.experts[1, 7]
    words = texts(view.figure())
    assert f"Layer 1: “ t7” goes to experts {first} ({trace.weights[1, 7, 0]:.2f}) and {second}" in words
    assert "This is what the model did." in words
    heights = [bar.get_height() for bar in axis_named(view.figure(), "bins").patches]
    assert heights == trace.load_per_expert()[1].tolist()
    view.top_k = 1
    assert "What if: 50% of all choices differ" in texts(view.figure())
    assert sum(bar.get_height() for bar in axis_named(view.figure(), "bins").patches) == 40


def test_a_ribbon_of_the_still_picture_is_as_thick_as_its_weight():
    trace = make(tokens=12)
    view = RouterView(trace)
    mine, others = (axis_named(view.figure(), "text").collections[at] for at in (1, 0))
    assert len(others.get_paths()) == 11 * 2 and len(mine.get_paths()) == 2
    weights = trace.weights[trace.row(view.layer), view.pinned]
    thick = mine.get_linewidths()
    assert thick[0] / thick[1] == pytest.approx(weights[0] / weights[1], rel=1e-4)


def test_the_still_picture_says_which_groups_are_shut_out():
    trace = make(experts=8, n_groups=4, top_groups=2, tokens=30)
    view = RouterView(trace)
    row = trace.row(view.layer)
    best = np.sort(trace.logits[row, view.pinned].reshape(4, 2), axis=-1)
    scores = np.exp(best).sum(axis=-1)  # of a group's two: softmax divides all of them by the same
    shut = sorted(np.argsort(scores)[:2].tolist())
    words = texts(view.figure())
    assert f"Shut out for it: groups {shut[0]}, {shut[1]}." in words
    assert [f"group {group}, shut out" in words for group in range(4)] == [group in shut for group in range(4)]


@pytest.mark.parametrize("n_groups", [2, 4, 6, 8, 12, 16])
def test_the_names_of_neighboring_groups_do_not_overprint_each_other(n_groups):
    figure = RouterView(make(experts=2 * n_groups, n_groups=n_groups, top_groups=1, top_k=1, tokens=30)).figure()
    figure.canvas.draw()
    bins = axis_named(figure, "bins")
    names = [text for text in bins.texts if text.get_fontsize() == 6.5]
    assert len(names) == n_groups
    boxes = [text.get_window_extent() for text in names]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))


def test_the_still_picture_shows_what_is_dropped_biased_and_off():
    view = RouterView(make(tokens=40))
    view.layer, view.pinned = 0, 39
    view.knobs = Knobs(top_k=2, capacity=0.5, bias=(0, 0, 0.25, 0, 0, 0), off=(4,))
    figure, routed = view.figure(), view.routing()[0]
    words = texts(figure)
    assert f"{routed.dropped.sum()} of 80 choices found no slot" in words and "7 slots" in words
    assert "(dropped)" in words
    labels = [label.get_text() for label in axis_named(figure, "bins").get_xticklabels()]
    assert labels == ["0", "1", "2\n+0.25", "3", "(4)", "5"]
    view.acts_on = 2
    assert "untouched here; the knobs act on layer 2 only" in texts(view.figure())


@pytest.mark.parametrize(
    ("layers", "tokens", "experts", "top_k"), [(1, 1, 1, 1), (2, 3, 8, 8), (8, 256, 64, 6), (2, 1200, 4, 2)]
)
def test_every_size_has_a_still_picture_that_fits_a_page(layers, tokens, experts, top_k):
    trace = make(layers, tokens, experts, top_k, bias=np.full((layers, experts), -0.2))
    view = RouterView(trace)
    view.capacity, view.noise = 1.0, 0.5
    figure = view.figure()
    assert figure.get_figwidth() == 7
    assert figure.get_figheight() < 9


def test_signs_without_a_glyph_and_dollars_do_not_break_the_still_picture():
    trace = make(tokens=4)
    trace.pieces = ["$x$ \\", "🎉", "\\xff", "\t"]
    view = RouterView(trace, title="$5 🎉")
    assert "🎉" in view.facts["pieces"][1]
    view._repr_mimebundle_()
