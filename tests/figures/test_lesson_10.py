"""The pictures of lesson 10 show the numbers that they are given."""

import pytest
from matplotlib.patches import Rectangle

from moe_lessons.figures.lesson_10 import draw_crossing, draw_folds, draw_kept, draw_orders


def words(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_what_is_kept_is_drawn_to_scale_below_the_heads_that_read_it():
    axis = draw_kept({"multi-head": 4, "grouped": 2, "latent": (4, 0.5)}, 4, "title").axes[0]
    boxes = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    kept = {row: [b.get_width() + 0.06 for b in boxes if b.get_y() == pytest.approx(2 * row + 0.8)] for row in range(3)}
    assert [sum(kept[row]) for row in range(3)] == pytest.approx([8, 4, 4.5])
    assert len(kept[0]) == 8 and kept[2] == pytest.approx([4, 0.5])
    joins = [
        line.get_xdata().tolist() if hasattr(line.get_xdata(), "tolist") else line.get_xdata() for line in axis.lines
    ]
    assert len(joins) == 3 * 4
    assert [end for _, end in joins[4:8]] == [3, 3, 5, 5]  # two heads to a group
    assert {end for _, end in joins[8:]} == {4}  # all heads read the one latent
    assert {"8", "4", "4.5"} <= set(words(axis))


def test_both_orders_show_what_is_made_on_the_way_and_count_all_products():
    upper, lower = draw_orders(3, 4, 16, 100).axes
    assert upper.get_title(loc="left") == f"unpacked: {12 * 16 * 100 + 12 * 100:,} products in all"
    assert lower.get_title(loc="left") == f"absorbed: {12 * 16 + 3 * 16 * 100:,} products in all"
    factors = [(4, 3), (16, 12), (100, 16)]
    for axis, made, brackets in ((upper, (100, 12), ["(", ")"]), (lower, (16, 3), ["(", ")"])):
        assert [(patch.get_width(), patch.get_height()) for patch in axis.patches] == [*factors, made]
        assert [text for text in words(axis) if text in "()"] == brackets


def test_curves_end_with_their_names_and_hold_their_values():
    axis = draw_folds([0, 1, 2], {"turned": [1, 2, 3], "folded once": [1, 1, 1]}, "title").axes[0]
    assert [list(line.get_ydata()) for line in axis.lines] == [[1, 2, 3], [1, 1, 1]]
    assert {"turned", "folded once"} <= set(words(axis))


def test_the_crossing_is_at_one_and_each_curve_has_its_own_places():
    figure = draw_crossing([1, 2, 4], {"counted": ([1, 2, 4], [0.25, 1, 4]), "here": ([1, 4], [0.5, 3])}, "t", "ratio")
    axis = figure.axes[0]
    line, counted, here = axis.lines
    assert set(line.get_ydata()) == {1}
    assert list(counted.get_xdata()) == [1, 2, 4] and list(here.get_ydata()) == [0.5, 3]
    assert axis.yaxis.get_major_formatter()(0.25) == "1/4" and axis.yaxis.get_major_formatter()(4) == "4"
    assert figure.get_figwidth() <= 7
