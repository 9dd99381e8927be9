"""The pictures of lesson 04 show the numbers that they are given."""

import pytest

from moe_lessons.figures.alt_text import describe
from moe_lessons.figures.charts import draw_by_group, draw_curves
from moe_lessons.figures.contrast import PAPER, contrast
from moe_lessons.figures.lesson_04 import draw_above_floor, draw_costs


def heights(figure) -> list[float]:
    return [bar.get_height() for bar in figure.axes[0].patches]


def words(figure) -> str:
    return "\n".join(text.get_text() for text in figure.axes[0].texts)


def test_a_token_is_a_bar_as_high_as_its_cost_and_one_color_means_one_group():
    figure = draw_costs(["1", " + ", "2"], [2.5, 0.5, 3.0], ["dice", "form", "dice"], "costs")
    assert heights(figure) == [2.5, 0.5, 3.0]
    first, second, third = (bar.get_facecolor() for bar in figure.axes[0].patches)
    assert first == third != second
    assert words(figure) == "dice\nform"
    assert all(contrast(text.get_color(), PAPER) > 4.4 for text in figure.axes[0].texts)


def test_what_lies_above_the_floor_begins_where_the_floor_ends():
    figure = draw_above_floor({"json": 1.2, "python": 3.0}, {"json": 1.0, "python": None}, "nats", "loss")
    floor, above, unknown = figure.axes[0].patches
    assert floor.get_width() == above.get_x() == 1.0
    assert above.get_width() == pytest.approx(0.2) and unknown.get_width() == 3.0
    assert "floor 1.00, 20% above" in words(figure) and "floor unknown" in words(figure)
    assert figure.alt == "loss. Across: nats. json 1.20 (floor 1.00, 20% above); python 3.00 (floor unknown)."


def test_words_name_a_level_line_and_its_height_where_it_runs_as_far_as_all_else():
    curves = {"model": ([0, 90, 180], [7, 4, 3]), "table": ([0, 180], [3.5, 3.5]), "bit": ([0, 9], [2, 2])}
    text = describe(draw_curves(curves, "t", "steps", "nats"))
    assert "model: from 7 at 0 to 3 at 180." in text and "table: at 3.5." in text and "bit: at" not in text


def test_every_curve_and_the_level_carry_their_names():
    figure = draw_curves(
        {"a": ([1, 10], [3, 2]), "b": ([1, 10], [3, 4])}, "t", "x", "y", level=(3.0, "start"), log_x=True
    )
    a, b, level = figure.axes[0].lines
    assert list(a.get_ydata()) == [3, 2] and list(b.get_ydata()) == [3, 4] and list(level.get_ydata()) == [3, 3]
    assert set(words(figure).split()) == {"a", "b", "start"}
    assert figure.axes[0].get_ylim()[0] == 0 and figure.axes[0].get_xscale() == "log"


def test_a_logarithmic_axis_shows_few_short_numbers_as_they_are_and_others_as_powers():
    def ticks(x):
        axis = draw_curves({"a": (x, [1.0] * len(x))}, "t", "x", "y", log_x=True).axes[0]
        return [label.get_text() for label in axis.get_xticklabels()]

    assert ticks([1, 2, 16, 128]) == ["1", "2", "16", "128"]
    assert "2" not in ticks([1, 2, 10**6]) and any("10^" in text for text in ticks([1, 2, 10**6]))


def test_a_group_may_lack_a_member_without_moving_the_others():
    figure = draw_by_group({"+": {"1": 1.0, "2": 2.0}, "x": {"1": 3.0}}, "t", "nats", level=(0, "floor"))
    places = {round(bar.get_x() + bar.get_width() / 2, 3): bar.get_height() for bar in figure.axes[0].patches}
    assert places == {-0.2: 1.0, 0.8: 3.0, 0.2: 2.0}
    assert "floor" in words(figure)
