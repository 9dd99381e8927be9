"""Pictures of load measure it as the package does, and shade what is out of balance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from view_samples import random_loads

from moe_lessons.figures.alt_text import describe
from moe_lessons.figures.loads import LoadCurve, draw_loads, evenness, idle, over_window, peak, shade
from moe_lessons.model.load_balance import load_entropy, max_over_mean


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any))
def test_pictures_measure_load_as_the_package_does(load):
    assert peak(np.array(load)) == pytest.approx(max_over_mean(torch.tensor(load)), rel=1e-6)
    assert evenness(np.array(load, dtype=float)) == pytest.approx(load_entropy(torch.tensor(load)), abs=1e-12)


@given(st.integers(1, 12), st.integers(1, 15))
def test_a_window_is_the_mean_of_the_points_before(points, window):
    values = random_loads(points).astype(float)
    slow = [values[max(0, i + 1 - window) : i + 1].mean(axis=0) for i in range(points)]
    assert np.allclose(over_window(values, window), slow)


def test_idle_means_less_than_a_tenth_of_the_mean():
    assert idle(np.array([[0.0, 9, 20, 371], [100, 100, 100, 100]])).tolist() == [2, 0]


def test_a_step_in_which_nobody_worked_is_blank_and_not_a_number():
    assert np.isnan(peak(np.zeros((2, 3)))).all() and np.isnan(evenness(np.zeros((2, 3)))).all()
    assert not shade(np.full(3, np.nan))[:, 3].any()


def test_balance_is_blank_and_none_or_eight_times_the_mean_is_full():
    colors = shade(np.array([1.0, 0.0, 1 / 8, 8.0, 16.0, 2.0]))
    assert colors[:, 3] == pytest.approx([0, 1, 1, 1, 1, 1 / 3])
    assert (colors[1, :3] == colors[2, :3]).all()
    assert (colors[3, :3] == colors[5, :3]).all()


def test_a_picture_of_nothing_says_so():
    assert draw_loads([]).get_figwidth() <= 7


def test_the_words_below_a_run_are_told_as_words_and_not_as_an_axis():
    loads = np.full((3, 1, 4), 5.0)
    curve = LoadCurve("bias", np.arange(3), np.ones(3), loads, np.zeros(0, int), np.zeros((0, 1, 1, 1), int))
    text = describe(draw_loads([curve]))
    assert "1: bias. max/mean 1.00, entropy 1.00, none idle." in text and "Across: max/mean" not in text
