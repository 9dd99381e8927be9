"""Lesson 17's pictures hold what their arrays say."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from moe_lessons.figures.lesson_17 import LayerPart, draw_layers, draw_sinkhorn
from moe_lessons.figures.style import PALETTE


def test_each_table_shows_its_numbers_and_the_sums_of_rows_and_columns():
    matrix = np.array([[0.25, 1.5], [-2.0, 12.3]])
    axis = draw_sinkhorn({"one": matrix, "other": np.eye(2)}, "Mixing").axes[0]
    places = {text.get_text(): text.get_position() for text in axis.texts}
    assert (
        places["0.25"] == (0, 0) and places["1.50"] == (1, 0) and places["−2.00"] == (0, 1) and places["12"] == (1, 1)
    )
    assert places["1.75"][1] == 0 and places["10"][1] == 1, "sums of rows, beside them"
    assert places["−1.75"][0] == 0 and places["14"][0] == 1, "sums of columns, below them"


def test_the_text_for_those_who_cannot_see_names_the_sum_farthest_from_one():
    uneven = np.array([[0.5, 0.5], [0.75, 0.25]])
    assert draw_sinkhorn({"uneven": uneven, "even": np.eye(2)}, "Mixing").alt.endswith("uneven 0.25, even 0.")


def test_what_is_new_has_another_edge_and_each_stream_an_arrow():
    layers = {"old": [LayerPart("a", "1", False)], "new": [LayerPart("a", "1", False), LayerPart("b", "2", True)]}
    figure = draw_layers(layers, {"old": 1, "new": 4}, "Layers")
    [axis] = figure.axes
    edges = [to_hex(patch.get_edgecolor()).upper() for patch in axis.patches if patch.get_width() > 1]
    assert [edge == PALETTE[3] for edge in edges] == [False, False, True]
    arrows = [text for text in axis.texts if text.get_text() == ""]
    assert len(arrows) == 1 + 4
    assert figure.alt == "Layers. old: 1 residual stream; new: 4 residual streams. New: b (2)."


@pytest.mark.parametrize("size", [0.0, 1e9])
def test_any_numbers_can_be_drawn(size):
    draw_sinkhorn({"some": np.full((3, 3), size)}, "Mixing").draw_without_rendering()
