"""The picture of every expert's load says what the numbers say."""

import numpy as np
import pytest

from moe_lessons.figures.lesson_13 import draw_load_map, draw_trade


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_each_cell_names_its_load_over_the_mean_of_its_layer():
    figure = draw_load_map(np.array([[1, 1, 4], [0, 3, 3]]), "title")
    assert texts(figure) == ["0.5", "0.5", "2.0", "0.0", "1.5", "1.5"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["layer 0", "layer 1"]
    assert figure.axes[0].get_title(loc="left") == "title"


def test_a_layer_in_which_nobody_worked_says_so():
    assert texts(draw_load_map(np.zeros((1, 2), dtype=int), "")) == ["–", "–"]


@pytest.mark.parametrize("shape", [(24, 32), (1, 64), (60, 2), (1, 1)])
def test_any_number_of_layers_and_experts_can_be_drawn(shape, tmp_path):
    figure = draw_load_map(np.random.default_rng(0).integers(1, 9, shape), "many")
    figure.savefig(tmp_path / "map.png")
    assert figure.get_figwidth() <= 7


def test_a_line_goes_through_an_arms_points_and_what_costs_nothing_stands_at_the_bottom():
    figure = draw_trade({"slow": [(0.1, 0.0), (0.5, 0.02)], "fast": [(2.0, 3.0)]}, "title", "learned", "forgotten")
    lines = figure.axes[0].get_lines()
    assert [line.get_xydata().tolist() for line in lines] == [[[0.1, 0.001], [0.5, 0.02]], [[2.0, 3.0]]]
    assert [line.get_label() for line in lines] == ["slow", "fast"]
    assert "fast 2.00 with 3" in figure.alt and "slow 0.50 with 0.02" in figure.alt
