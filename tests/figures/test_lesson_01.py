"""The figures of lesson 01 show the numbers that they are given."""

import pytest

from moe_lessons.figures.lesson_01 import draw_merging, draw_origins, draw_vocabulary


def test_each_step_of_merging_is_a_row_with_all_its_pieces():
    steps = [["a", "b", " ", "a", "b"], ["ab", " ", "ab"]]
    (axis,) = draw_merging(steps, ["0 merges", "1 merge"]).axes
    written = [text.get_text() for text in axis.texts]
    assert written == ["0 merges", "a", "b", "·", "a", "b", "1 merge", "ab", "·", "ab"]
    with pytest.raises(ValueError, match="1 notes for 2 steps"):
        draw_merging(steps, ["0 merges"])


def test_a_curve_goes_through_its_points_and_is_named_at_its_end():
    figure = draw_vocabulary({"phone_book": ([256, 512], [3.0, 2.0])}, "title", "x", "y", log=True, line=(1.0, "one"))
    (axis,) = figure.axes
    assert axis.lines[0].get_xydata().tolist() == [[256, 3.0], [512, 2.0]]
    assert {text.get_text() for text in axis.texts} == {"phone book", "one"}


def test_the_parts_of_a_bar_are_the_shares_of_its_piece():
    (axis,) = draw_origins([" the", "7"], [[0.25, 0.75], [1.0, 0.0]], ["english", "json"]).axes
    widths = [[bar.get_width() for bar in bars] for bars in axis.containers]
    assert widths == [[0.25, 1.0], [0.75, 0.0]]
    with pytest.raises(ValueError, match="does not have 2 entries"):
        draw_origins(["7"], [[1.0]], ["english", "json"])
