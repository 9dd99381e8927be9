"""Pictures of tokens that travel: what is drawn is what was given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from moe_lessons.figures.lesson_15 import draw_journeys, draw_traffic
from moe_lessons.figures.style import PALETTE
from moe_lessons.parallel import vectors_sent


def test_a_line_is_drawn_for_each_process_that_a_token_has_business_with():
    experts, home = np.array([[0, 1], [0, 3], [2, 3], [1, 2]]), np.array([0, 0, 0, 1])
    figure = draw_journeys(experts, home, ["a", "b", " c", "$"], 4, 2, "title")
    lines = figure.axes[0].lines
    # a: twice at home; b: home and away; c: twice away; $: away and home
    assert [line.get_linewidth() > 2 for line in lines] == [True, False, False, True, False, False]
    away = [to_hex(line.get_color()) != "#b5b5b5" for line in lines]
    assert away == [False, False, True, True, True, False]
    assert to_hex(lines[4].get_color()) == PALETTE[1].lower()
    sent = vectors_sent(experts, home, 4, 2)
    assert sum(away) == sent.sum() - np.trace(sent)
    assert figure.get_figwidth() <= 7


@pytest.mark.parametrize(("layers", "ranks"), [(4, 4), (1, 2), (2, 8)])
def test_every_number_of_the_traffic_matrix_is_written_in_its_place(layers, ranks):
    matrices = np.arange(layers * ranks * ranks).reshape(layers, ranks, ranks) * 3.0
    figure = draw_traffic(matrices, [f"layer {n}" for n in range(layers)], "Sent")
    assert len(figure.axes) == layers
    for axis, matrix in zip(figure.axes, matrices, strict=True):
        written = {tuple(map(round, text.get_position()[::-1])): text.get_text() for text in axis.texts}
        assert written == {place: f"{value:,.0f}" for place, value in np.ndenumerate(matrix)}
        assert np.ma.getmaskarray(axis.images[0].get_array()).sum() == ranks  # what stays at home has no shade


def test_no_traffic_at_all_can_be_drawn():
    draw_traffic(np.zeros((1, 3, 3)), ["layer 0"], "Sent").canvas.draw()
