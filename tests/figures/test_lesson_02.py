"""The pictures of lesson 02 show the numbers that they are given."""

import numpy as np

from moe_lessons.figures import lesson_02 as draw


def widths(axis) -> list[float]:
    return [round(bar.get_width(), 6) for bar in axis.patches]


def test_the_bars_beside_the_arrows_are_the_weights():
    keys = np.array([[2.0, 0.5], [-0.5, 1.0], [0.2, -0.4]])
    figure = draw.draw_query(["one", "two", "."], keys, np.array([1.0, 0.0]), np.array([0.6, 0.3, 0.1]))
    plane, bars = figure.axes
    assert widths(bars) == [0.6, 0.3, 0.1]
    assert [text.get_text() for text in plane.texts if text.get_text()] == ["one", "two", ".", "query"]
    figure.draw_without_rendering()


def test_positions_that_did_not_move_have_no_bar():
    change = np.array([0.0, 0.0, 2.0, 0.5])
    axis = draw.draw_influence({"masked": change, "open": change + 0.1}, changed=2).axes[0]
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == change.tolist() and axis.get_ylim()[0] > 0


def test_a_dial_names_first_and_last_position_unless_they_lie_on_each_other():
    turns = [np.stack([np.cos(angles), np.sin(angles)], axis=-1) for angles in (np.arange(8.0), np.arange(8) * 1e-3)]
    fast, slow = draw.draw_turns({"fast": turns[0], "slow": turns[1]}).axes
    assert [text.get_text() for text in fast.texts if text.get_text()] == ["0", "7"]
    assert [text.get_text() for text in slow.texts if text.get_text()] == ["0–7"]


def test_every_trained_head_is_named_and_every_head_is_a_point():
    grid = np.linspace(0, 0.3, 6).reshape(2, 3)
    axis = draw.draw_habits(
        {"random": grid, "trained": grid}, {"random": grid, "trained": grid}, "x", "y", "trained"
    ).axes[0]
    assert [len(points.get_offsets()) for points in axis.collections] == [6, 6]
    assert [text.get_text() for text in axis.texts] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]


def test_the_other_pictures_draw_what_they_are_given():
    lines = draw.draw_saturation([2, 4], {"a": [0.5, 0.9], "b": [0.1, 0.1]}, keys=8).axes[0].lines
    assert [list(line.get_ydata()) for line in lines[:2]] == [[0.5, 0.9], [0.1, 0.1]]
    assert widths(draw.draw_cache({"32": 512.0, "8": 128.0}, "KiB", "title").axes[0]) == [512, 128]
    distances = np.arange(3)
    curve = draw.draw_distance(distances, {"here": distances * 2.0}).axes[0].lines[0]
    assert list(curve.get_ydata()) == [0, 2, 4]
