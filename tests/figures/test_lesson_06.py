"""The pictures of lesson 06 show the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from moe_lessons.figures.charts import draw_ratios, draw_sweep
from moe_lessons.figures.lesson_06 import draw_dispatch, draw_send, draw_waste

PIECES = ["In", " January", " $5", "\n"]
EXPERTS = np.array([[3, 0], [0, 3], [2, 3], [3, 2]])


def words(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_every_choice_is_drawn_twice_and_joined_by_a_line():
    figure = draw_dispatch(PIECES, EXPERTS, 5, "title")
    (axis,) = figure.axes
    assert len([patch for patch in axis.patches if isinstance(patch, Rectangle)]) == 2 * EXPERTS.size
    joins = [line.get_xdata() - 0.5 for line in axis.lines if line.get_linewidth() == 1.1]
    flat = EXPERTS.ravel()
    assert sorted(int(start) for start, _ in joins) == list(range(EXPERTS.size))
    assert [flat[int(start)] for start, _ in sorted(joins, key=lambda join: join[1])] == sorted(flat)
    assert "experts, each with its tokens side by side (2 of 5 have none)" in words(axis)
    figure.draw_without_rendering()


def test_each_one_in_the_table_is_one_square_at_its_place():
    send = np.zeros((4, 6))
    send[[0, 1, 2], [0, 5, 3]] = 1
    axis = draw_send(send, 3, PIECES, "title").axes[0]
    assert {(int(p.get_y()), int(p.get_x())) for p in axis.patches} == {(0, 0), (1, 5), (2, 3)}
    assert axis.get_xlabel() == "slots, 2 for each expert"


def test_times_are_drawn_as_multiples_of_the_base_with_their_middle_half():
    axis = draw_ratios({"dense": (2.0, 1.9, 2.2), "loop": (3.0, 2.8, 3.4)}, "dense", "title").axes[0]
    assert [bar.get_width() for bar in axis.patches] == [1.5]
    assert axis.lines[0].get_xdata().tolist() == pytest.approx([1.4, 1.7])
    assert words(axis)[:2] == ["1.50", "dense"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["loop"]


def test_curves_carry_their_values_and_their_names():
    curves = {"loop": [1.0, 2.0, 4.0], "fused": [1.0, 1.1, 1.2]}
    axis = draw_sweep([2, 8, 32], curves, "title", "experts", log=True, level=(1.0, "dense")).axes[0]
    assert [line.get_ydata().tolist() for line in axis.lines[1:] if len(line.get_ydata()) == 3] == list(curves.values())
    assert set(words(axis)) == {"dense", "fused", "loop"}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["2", "8", "32"]


def test_waste_is_drawn_full_for_drops_and_dashed_for_padding():
    axis = draw_waste([1, 2], {"mixed": [0.2, 0.0]}, {"mixed": [0.2, 0.6]}, "title").axes[0]
    dropped, padded = axis.lines[:2]
    assert dropped.get_linestyle() == "-"
    assert padded.get_linestyle() != "-"
    assert (dropped.get_ydata().tolist(), padded.get_ydata().tolist()) == ([0.2, 0.0], [0.2, 0.6])
    assert set(words(axis)) == {"dropped, mixed", "empty slots, mixed"}
