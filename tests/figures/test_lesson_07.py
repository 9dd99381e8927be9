"""The pictures of changed routes show the numbers that they are given."""

import numpy as np

from moe_lessons.figures.charts import draw_bars, draw_changes
from moe_lessons.figures.lesson_07 import draw_importance, draw_mixture


def test_a_cell_says_its_change_and_is_the_deeper_the_larger_it_is():
    changes = {"dice": {"json": 0.5, "phone_book": -0.25}, "the first alone": {"json": 0.001, "phone_book": 0.0}}
    (axis,) = draw_changes(changes, "title", "nats").axes
    assert [text.get_text() for text in axis.texts] == ["0.50", "−0.25", "0.00", "0.00"]
    assert axis.images[0].get_array().tolist() == [[0.5, -0.25], [0.001, 0.0]]
    assert axis.images[0].get_clim() == (-0.5, 0.5)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["json", "phone book"]
    assert axis.get_title(loc="left") == "title" and axis.get_xlabel() == "nats"


def test_the_alt_text_of_a_table_names_its_lowest_and_its_highest_change_with_their_signs():
    changes = {"dim 64": {"json": 0.02, "phone_book": -0.44}, "dim 96": {"json": -0.1, "phone_book": 0.0}}
    figure = draw_changes(changes, "Title", "nats")
    assert figure.alt == "Title. nats. A table of 2 by 2, from -0.44 at dim 64, phone book, to 0.02 at dim 64, json."


def test_what_reads_as_zero_stands_above_its_axis_and_a_long_legend_does_not_widen_the_picture():
    groups = dict.fromkeys(("layer 0", "layer 1"), -0.0001)
    names = ("least busy, trained", "least busy, untrained", "busiest, trained", "busiest, untrained")
    figure = draw_bars(dict.fromkeys(names, groups), "title", colors="rgbk", percent=True, marks=groups, mark="balance")
    assert {text.get_text() for text in figure.axes[0].texts} == {"0%"}
    assert all(text.xyann[1] > 0 for text in figure.axes[0].texts)
    figure.canvas.draw()
    assert figure.legends[0].get_window_extent().width < figure.bbox.width


def test_a_large_number_over_a_bar_has_no_decimals():
    (axis,) = draw_bars({"time": {"short": 27.94, "long": 2138.18}}, "title", "milliseconds").axes
    assert [text.get_text() for text in axis.texts] == ["27.94", "2,138"]


def test_columns_that_are_experts_have_their_experts_colors_and_nothing_changed_is_drawn_too():
    (axis,) = draw_changes({"json": {str(expert): 0.0 for expert in range(16)}}, "title").axes
    boxes = [label.get_bbox_patch().get_facecolor() for label in axis.get_xticklabels()]
    assert len(set(boxes)) == 16


def test_every_point_lies_at_its_share_and_change_and_the_telling_ones_are_named():
    shares = np.array([[0.9, 0.1, 0.5], [0.2, 0.7, 0.1]])
    changes = np.array([[0.01, 0.0, 0.8], [0.0, 0.02, 0.6]])
    figure = draw_importance(shares, changes, ["json", "cpp"], "title", named=2)
    (axis,) = figure.axes
    for number, points in enumerate(axis.collections):
        assert points.get_offsets().tolist() == np.stack([shares[number], changes[number]], axis=1).tolist()
    named = {(text.get_text(), text.xy) for text in axis.texts}
    assert named == {("2", (0.5, 0.8)), ("2", (0.1, 0.6)), ("0", (0.9, 0.01)), ("1", (0.7, 0.02))}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["json", "cpp"]


def test_a_mixture_of_any_size_names_its_experts_and_their_weights():
    for n in (2, 8, 16):
        scores = np.linspace(1, 2, n) / np.linspace(1, 2, n).sum()
        words = [
            text.get_text()
            for text in draw_mixture(" the", scores, np.array([n - 1, 0]), np.array([0.75, 0.25])).axes[0].texts
        ]
        assert [word for word in words if word.startswith("expert ")] == [f"expert {expert}" for expert in range(n)]
        assert [word for word in words if word.startswith("×")] == ["× 0.25", "× 0.75"]
        assert f"{n} experts, 2 at work" in words
