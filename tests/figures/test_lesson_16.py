"""Lesson 16's pictures hold what they were given: shares of what is read, sums of heads, and lengths in powers."""

import numpy as np
import pytest

from moe_lessons.figures.keys import Band, draw_reach
from moe_lessons.figures.lesson_16 import draw_index, draw_lengths


def test_the_left_side_says_how_much_of_each_hundredth_is_read():
    tokens = [(0, 5), (990, 1000), (500, 501)]
    figure = draw_reach([Band("some", tokens, [(20, 30)], "16")], 999, "What it reads", last=50)
    heights = [-bar.get_height() / 0.56 for bar in figure.axes[0].patches[1:]]  # the first is the whole band
    entries, singles = np.array(heights[:100]), np.array(heights[100:])
    assert entries[2] == pytest.approx(1) and entries.sum() == pytest.approx(1)
    assert singles[[0, 50, 99]] == pytest.approx([0.5, 0.1, 1]) and singles.sum() == pytest.approx(1.6)
    assert figure.axes[1].get_xlim() == (950, 1000)


def test_heads_are_piled_up_to_the_score_and_only_the_chosen_have_a_dot():
    parts = np.array([[1.0, 0.5, 0], [0.25, -1, 0.5]])
    figure = draw_index(parts, np.array([True, False, True]), ["a", "b", "c"], "Three keys")
    (dots,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert list(dots.get_xdata()) == [0, 2] and list(dots.get_ydata()) == [1.25, 0.5]
    bars = figure.axes[0].patches
    assert [bar.get_y() for bar in bars] == [0, 0, 0, 1, 0, 0]  # what is below zero hangs from zero


def test_lengths_are_marked_in_powers_of_two():
    figure = draw_lengths({"one": ([1024, 2048, 4096, 2**20], [1.0, 2, 3, 4])}, "Costs", "bytes")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1k", "4k", "1M"]


def test_heights_within_two_powers_of_ten_have_their_own_numbers():
    figure = draw_lengths({"one": ([256, 1024], [1.5, 24.0])}, "Times", "milliseconds")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["2", "5", "10", "20"]
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels(minor=True) if label.get_text()] == []
