"""The sheet that every figure is drawn on, and the words that go with it wherever it is shown.

JupyterLab shows a stored picture as it is, in a light theme and in a dark one. So a figure is a card of its own: warm
gray paper instead of white, which would glare in the dark, with round corners and nothing outside of them.
"""

import base64
import io
import os
from typing import Any, cast

import matplotlib as mpl
from matplotlib.artist import allow_rasterization
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.patches import BoxStyle, Rectangle
from matplotlib.transforms import IdentityTransform

from moe_lessons.figures.alt_text import describe
from moe_lessons.figures.contrast import PAPER

_CORNER = 0.09  # inches
SHARPNESS = "MOE_LESSONS_SHARPNESS"  # environment variable: how many times as many dots an inch, for a projector


class Figure(MatplotlibFigure):
    """A matplotlib figure on a card, with an alt text. Its name is matplotlib's, and so is what it prints.

    `alt` takes the place of the text that is read from the figure.
    """

    alt: str = ""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if SHARPNESS in os.environ and "dpi" not in options:
            options["dpi"] = mpl.rcParams["figure.dpi"] * float(os.environ[SHARPNESS])
        super().__init__(*arguments, **options)
        self.patch = _Card((0, 0), 1, 1, facecolor=PAPER, edgecolor="none", linewidth=0)
        cast(Any, self)._set_artist_props(self.patch)  # which matplotlib does with its own

    @allow_rasterization
    def draw(self, renderer: Any) -> None:
        """Draw all of it; panels that nobody colored let the paper through."""
        plain = to_rgba(mpl.rcParams["axes.facecolor"])
        for axis in self.axes:
            if axis.patch.get_facecolor() == plain:
                axis.set_facecolor("none")
        super().draw(renderer)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """The picture with its alt text; the picture alone is left to IPython where it draws figures itself."""
        data = {} if _drawn_by_ipython(self) else {"image/png": png(self)}
        return data, {"image/png": {"alt": describe(self)}}


class _Card(Rectangle):
    """A figure's background with round corners, whatever part of the figure is saved."""

    def draw(self, renderer: Any) -> None:
        box = self.get_window_extent(renderer)
        sheet = cast(Figure, self.get_figure(root=True))  # a card is never drawn without
        corner = _CORNER * sheet.dpi
        path = cast(Any, BoxStyle.Round)(pad=0, rounding_size=corner)(box.x0, box.y0, box.width, box.height, 1)
        pen = renderer.new_gc()
        pen.set_linewidth(0)
        renderer.draw_path(pen, path, IdentityTransform(), self.get_facecolor())
        pen.restore()


def _drawn_by_ipython(figure: MatplotlibFigure) -> bool:
    """Whether `%matplotlib inline`, or whoever else, has told IPython how figures become pictures."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return False
    try:
        shell.display_formatter.formatters["image/png"].lookup(figure)
    except KeyError:
        return False
    return True


def png(figure: MatplotlibFigure) -> str:
    """A figure as base64 PNG, as large as `%matplotlib inline` makes it, drawn without pyplot.

    Callbacks on another thread may call it.
    """
    buffer = io.BytesIO()
    look = {"facecolor": figure.get_facecolor(), "dpi": figure.dpi, "bbox_inches": "tight"}
    FigureCanvasAgg(figure).print_figure(buffer, format="png", **look)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
