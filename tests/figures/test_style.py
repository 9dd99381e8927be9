"""What all figures share: the page's width, signs that the font has, and colors that every eye tells apart."""

import numpy as np
import pytest

from moe_lessons.figures.style import PALETTE, new_figure, printable


def test_a_figure_wider_than_the_page_is_refused():
    with pytest.raises(ValueError, match=r"^width is 9 inches, .*; make it narrower$"):
        new_figure(9)


def test_signs_that_the_font_lacks_become_escapes():
    assert printable("a b\n") == "a·b↵"
    assert printable("😀日é") == "\\U0001f600\\u65e5é"


# Linear RGB as eyes without one kind of cone see it (Machado et al., 2009, severity 1), and Ottosson's OKLab space.
EYES = {
    "all cones": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


@pytest.mark.parametrize("eye", EYES)
def test_any_two_of_sixteen_experts_differ_in_color_for_every_eye(eye):
    channels = np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in PALETTE])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(EYES[eye]).T, 0, 1)
    lab = np.cbrt(seen @ np.array(CONES).T) @ np.array(LAB).T
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + np.eye(len(PALETTE))
    assert len(PALETTE) == 16 and apart.min() > 0.07
