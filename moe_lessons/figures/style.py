"""How every figure of the course looks: one palette, quiet axes, labels beside the lines they name."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontProperties, findfont, get_font

from moe_lessons.figures.alt_text import CAPTION
from moe_lessons.figures.contrast import readable
from moe_lessons.figures.paper import Figure

# Okabe and Ito's colors (the first six), and ten that were searched for: any two of the sixteen are well apart (0.076
# and more in OKLab) for normal eyes and for eyes without one of the three cones; a test measures it.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#99430D",
    "#6B6B6B",
    "#B4DAFF",
    "#E4DC5D",
    "#25E2BD",
    "#701C2F",
    "#3C2E7E",
    "#75447B",
    "#95BA7E",
    "#8C7EE2",
)
INK = "#2B2B2B"  # text and what the eye should find
MUTED = "#5C5C5C"  # axes and notes
RULE = "#CFCAC0"  # grid lines and outlines
WIDEST = 7.0  # inches; JupyterLab shrinks wider figures until their labels are unreadable


def new_figure(width: float = WIDEST, height: float = 3.2) -> Figure:
    """An empty card, in inches, made without pyplot so that a callback may draw it.

    Raises ValueError for a width above 7 inches.
    """
    if width > WIDEST:
        raise ValueError(f"width is {width} inches, but JupyterLab shrinks figures above {WIDEST:g}; make it narrower")
    return Figure(figsize=(width, height), layout="constrained")


def clean(axis: Axes, grid: Literal["x", "y", "both", ""] = "y") -> Axes:
    """Leave only what is read: no box, a thin baseline, small gray ticks, grid lines along `grid`."""
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(RULE)
    axis.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    axis.xaxis.label.set(size=8.5, color=MUTED)
    axis.yaxis.label.set(size=8.5, color=MUTED)
    axis.title.set(size=10, color=INK)
    axis.set_axisbelow(True)
    if grid:
        axis.grid(axis=grid, color=RULE, linewidth=0.6)
    return axis


def heading(axis: Axes, text: str) -> None:
    """A left-aligned title that says what is seen."""
    axis.set_title(text, loc="left", fontsize=10, color=INK)


def plot_named(
    axis: Axes,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    colors: Iterable[str] = PALETTE,
    *,
    dots: float = 0,
    **look: Any,
) -> list[tuple[float, float, str, str]]:
    """Plot each curve (x, y) in its color, its points marked where there are fewer than `dots`.

    Returns what `label_ends` and `name_ends` write beside the curves.
    """
    ends = []
    for (name, (x, y)), color in zip(curves.items(), colors, strict=False):
        axis.plot(x, y, color=color, marker="o" if len(x) < dots else None, **look)
        ends.append((x[-1], y[-1], name, color))
    return ends


def caption(axis: Axes, words: str) -> None:
    """A small line below a panel, about all of it; an axis label names what is measured along it."""
    axis.set_xlabel(words, fontsize=7, color=MUTED, loc="left", gid=CAPTION)


def name_ends(axis: Axes, title: str, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """A heading, and names beside the ends of lines: the last call, when all else has its place."""
    heading(axis, title)
    cast(Figure, axis.figure).draw_without_rendering()  # no panel of a part of a figure comes here
    label_ends(axis, ends)


def label_ends(axis: Axes, ends: Sequence[tuple[float, float, str, str]], size: float = 8.5) -> None:
    """Write names beside the ends of lines, moved apart where they would overlap.

    `ends` holds (x, y, text, color). Call it after the limits and the scale are set. Lines keep their hue but become as
    dark as the paper needs, and they are called what stands beside them.
    """
    _name_lines(axis, ends)
    to_axes = axis.transData + axis.transAxes.inverted()
    line = size * 1.25 / 72 * axis.figure.dpi / axis.bbox.height
    placed = sorted(((*to_axes.transform((x, y)), text, color) for x, y, text, color in ends), key=lambda end: end[1])
    tall = [line * (text.count("\n") + 1) for _, _, text, _ in placed]
    heights = [min(y, 1.0) for _, y, _, _ in placed]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + (tall[i - 1] + tall[i]) / 2)
    ceiling = 1.0 + line / 2
    for i in reversed(range(len(heights))):  # what was pushed out above comes back, as far as there is room
        heights[i] = min(heights[i], ceiling)
        ceiling = heights[i] - (tall[i] + tall[i - 1]) / 2
    for (x, _, text, color), y in zip(placed, heights, strict=True):
        axis.annotate(
            text,
            (x, y),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            color=readable(color),
            fontsize=size,
            linespacing=1.15,
            va="center",
            annotation_clip=False,
        )


def _name_lines(axis: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    for line in axis.lines:
        values = np.asarray(line.get_ydata(), dtype=float)
        mine = [end for end in ends if to_hex(end[3]) == to_hex(line.get_color())]
        if not mine or not len(values):
            continue
        line.set_color(readable(cast(str, line.get_color()), 3))  # whoever plots here gives it as text
        if str(line.get_label()).startswith("_"):
            line.set_label(min(mine, key=lambda end: abs(end[1] - values[-1]))[2])


def printable(text: str) -> str:
    """Text that the figures' font can draw: spaces and line ends made visible, other unknown signs as escapes."""
    marks = {"\n": "↵", "\t": "→", " ": "·"}
    shown = (marks.get(sign, sign) for sign in text)
    return "".join(s if ord(s) in _signs() else s.encode("unicode_escape").decode() for s in shown).replace("$", r"\$")


@cache
def _signs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans Mono"))).get_charmap())
