"""The first lesson's pictures draw what they are given, whatever its size."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.lesson_00 import draw_same_words, draw_shares, draw_strips


def words(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_a_row_of_the_picture_is_a_prompt_and_a_cell_has_its_experts_number_and_color():
    choices = np.random.default_rng(0).integers(0, 8, (3, 4, 5))  # prompts, layers, tokens
    figure = draw_same_words(choices, ["json", "phone_book", "cpp"], [" a", " b", "\n", "$", " "], (0, 1, 2, 5), 8)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["Layer 0", "Layer 1", "Layer 2", "Layer 5"]
    colors = np.array([to_rgb(color) for color in expert_colors(8)])
    for layer, axis in enumerate(figure.axes):
        assert [int(text.get_text()) for text in axis.texts] == choices[:, layer].ravel().tolist()
        assert np.allclose(axis.images[0].get_array(), colors[choices[:, layer]])
    assert figure.axes[0].get_yticklabels()[1].get_text() == "after phone book"


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_every_number_of_layers_has_its_panels(layers):
    choices = np.zeros((2, layers, 3), dtype=int)
    assert len(draw_same_words(choices, ["a", "b"], list("xyz"), range(layers), 16).axes) == layers
    assert len(draw_shares({"a": np.full((layers, 4), 0.25)}, range(layers)).axes) == layers


def test_a_bar_is_as_long_as_the_shares_it_is_made_of():
    loads = {"sums": np.array([[0.5, 0.0, 0.48, 0.02]]), "stories": np.array([[0.1, 0.2, 0.3, 0.4]])}
    (axis,) = draw_shares(loads, (2,)).axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx(np.concatenate([*loads.values()], axis=1)[0])
    assert words(axis.figure) == ["0", "2", "0", "1", "2", "3"]  # a sliver has no room for its number


def test_the_part_at_work_is_drawn_to_scale_and_a_claim_is_called_one():
    figure = draw_strips({"ours": (1, 4), "theirs $1": (37, 671)}, {"theirs $1": "claimed"})
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([1, 1 / 4, 1, 37 / 671])
    assert [bar.get_hatch() for bar in figure.axes[0].patches][3]
    assert {"25.0% at work", "5.5% at work (claimed)"} <= set(words(figure))
