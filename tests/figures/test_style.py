"""What all figures share: the page's width, and signs that the font has."""

import pytest

from moe_lessons.figures.style import new_figure, printable


def test_a_figure_wider_than_the_page_is_refused():
    with pytest.raises(ValueError, match=r"^width is 9 inches, .*; make it narrower$"):
        new_figure(9)


def test_signs_that_the_font_lacks_become_escapes():
    assert printable("a b\n") == "a·b↵"
    assert printable("😀日é") == "\\U0001f600\\u65e5é"
