"""The pictures of lesson 09 show the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from moe_lessons.figures.at_work import Held, draw_at_work, draw_models
from moe_lessons.figures.charts import draw_seeds
from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.lesson_09 import Widths, draw_cut, draw_groups, draw_machines, draw_sizes
from moe_lessons.figures.style import PALETTE


def test_a_layer_is_drawn_to_scale_with_those_at_work_filled():
    (axis,) = draw_cut({"coarse": Widths(4, 8, [1]), "fine": Widths(7, 4, [0, 6], 1)}, "title").axes
    assert [text.get_text() for text in axis.texts] == ["coarse", "fine"]
    coarse, fine = axis.patches[:4], axis.patches[4:]
    assert len(fine) == 8
    assert coarse[0].get_width() == pytest.approx(2 * fine[0].get_width())
    filled = [[to_hex(box.get_facecolor()) for box in row] for row in (coarse, fine)]
    blue, shared = PALETTE[0].lower(), PALETTE[1].lower()
    assert filled[0] == [SHEET.lower(), blue, *[SHEET.lower()] * 2]
    assert filled[1] == [shared, blue, *[SHEET.lower()] * 5, blue]


def test_each_seed_is_a_dot_and_each_arms_mean_a_bar():
    losses = {"a": [1.0, 2.0, 3.0], "b": [2.0, 2.0, 5.0]}
    (axis,) = draw_seeds(losses, "title", "nats").axes
    assert [dots.get_offsets().tolist() for dots in axis.collections] == [
        [[value, row] for value in values] for row, values in enumerate(losses.values())
    ]
    assert [line.get_xdata()[0] for line in axis.lines if len(set(line.get_xdata())) == 1][-2:] == [2.0, 3.0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_ratios_are_drawn_over_the_number_of_experts():
    (axis,) = draw_sizes([1, 2, 4], {"one": [1, 0.5, 0.25], "two": [1, 1, 2]}, "title", "ratio").axes
    assert [list(line.get_ydata()) for line in axis.lines[1:]] == [[1, 0.5, 0.25], [1, 1, 2]]
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_groups_say_the_sum_of_their_two_best_and_colors_say_what_the_rule_changed():
    preferences = np.array([0.9, 0.1, 0.2, 0.7, 0.6, 0.5])  # three groups of two
    figure = draw_groups(preferences, 3, {0, 2}, free=[0, 3], limited=[0, 4], title="title")
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.texts] == ["1.00", "0.90", "1.10"]
    assert [text.get_fontweight() for text in axis.texts] == ["bold", "normal", "bold"]
    bars = [patch for patch in axis.patches if patch.get_width() == pytest.approx(0.8) and patch.get_height()]
    assert [bar.get_height() for bar in bars] == pytest.approx(preferences.tolist())
    colors = [to_hex(bar.get_facecolor()) for bar in bars]
    assert (colors[0], colors[3], colors[4]) == tuple(PALETTE[i].lower() for i in (0, 3, 2))
    assert colors[1] == colors[2] == colors[5]


def test_shares_of_tokens_stand_over_their_number_of_machines():
    (axis,) = draw_machines({"without": [0.25, 0.75], "with": [1.0, 0.0]}, "title").axes
    assert [bar.get_height() for bar in axis.patches] == [0.25, 0.75, 1.0, 0.0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["1", "2"]


def test_what_is_at_work_is_drawn_to_scale_and_then_enlarged():
    parts = {"attention": Held(10, 10), "experts": Held(900, 30), "multi_token": Held(90, 0)}
    (axis,) = draw_at_work(parts, "title").axes
    words = [text.get_text() for text in axis.texts]
    assert "1.00 k parameters; 40 at work on a token" in words and "960 idle" in words
    assert "attention: 10" in words and "experts: 30 of 900" in words and "25%" in words and "75%" in words
    assert not any("multi-token" in word for word in words)
    bars = [patch for patch in axis.patches if hasattr(patch, "get_width") and patch.get_height() == pytest.approx(0.6)]
    assert [bar.get_width() for bar in bars] == pytest.approx([1, 0.01, 0.03, 0, 0.25, 0.75, 0])


def test_every_model_has_a_dot_a_ring_and_its_share():
    (axis,) = draw_models({"small": Held(100, 100), "large": Held(4000, 1000)}, "title").axes
    assert [text.get_text() for text in axis.texts] == ["dense", "25%"]
    at = [points.get_offsets().tolist()[0] for points in axis.collections]
    assert at == [[100, 0], [100, 0], [4000, 1], [1000, 1]]
