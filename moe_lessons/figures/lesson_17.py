"""Lesson 17's pictures: a layer of 2026 beside one of 2024, and a mixing of streams on its way to fair sums."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, new_figure

# Below 0, 0, and above: what a plain hyper-connection may hold.
_ROUND = "round,pad=0,rounding_size=0.1"
_SHADES = LinearSegmentedColormap.from_list("mixing", [PALETTE[3], SHEET, PALETTE[0]])


class LayerPart(NamedTuple):
    """One box of a layer's plan."""

    name: str
    words: str  # its sizes, from a configuration
    new: bool  # whether the other layer has none


def draw_layers(layers: Mapping[str, Sequence[LayerPart]], streams: Mapping[str, int], title: str) -> Figure:
    """Layers side by side, each part a box with its sizes; what is new has a colored edge; streams are arrows."""
    most = max(len(parts) for parts in layers.values())
    figure = new_figure(WIDEST, 0.75 + 0.62 * most)
    axis = figure.subplots()
    axis.axis("off")
    for column, (name, parts) in enumerate(layers.items()):
        left = 5.2 * column
        axis.text(left + 0.75, 0.35, name, fontsize=9.5, color=INK, fontweight="bold", va="bottom")
        n = streams[name]
        for stream in range(n):
            at = left + 0.34 - 0.16 * (stream - (n - 1) / 2)
            arrow = {"arrowstyle": "-|>", "color": PALETTE[stream] if n > 1 else INK, "lw": 1.6}
            axis.annotate("", (at, -most - 0.1), (at, 0.2), arrowprops=arrow)
        for row, part in enumerate(parts):
            edge, width = (PALETTE[3], 2.0) if part.new else (RULE, 1.2)
            look = {"facecolor": SHEET, "edgecolor": edge, "linewidth": width}
            axis.add_patch(FancyBboxPatch((left + 0.75, -row - 0.86), 4.2, 0.74, boxstyle=_ROUND, **look))
            axis.text(left + 0.9, -row - 0.36, part.name, fontsize=8.5, color=INK, va="center", fontweight="bold")
            axis.text(left + 0.9, -row - 0.65, part.words, fontsize=7.5, color=MUTED, va="center")
    axis.set(xlim=(0, 5.2 * len(layers) - 0.1), ylim=(-most - 0.15, 0.8))
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    told = [f"{name}: {streams[name]} residual stream{'s' * (streams[name] > 1)}" for name in layers]
    fresh = [f"{part.name} ({part.words})" for parts in layers.values() for part in parts if part.new]
    figure.alt = f"{title}. {'; '.join(told)}. New: {', '.join(fresh)}."
    return figure


def draw_sinkhorn(matrices: Mapping[str, Float[np.ndarray, "streams other"]], title: str) -> Figure:
    """One table for each moment of Sinkhorn's iteration, the sums of rows to the right of it and of columns below."""
    figure = new_figure(WIDEST, 0.6 + WIDEST / max(len(matrices), 3))
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    told = []
    for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
        show_mixing(axis, matrix, size=6.5)
        axis.set_title(name, fontsize=8.5, color=INK)
        off = max(np.abs(matrix.sum(axis=which) - 1).max() for which in (0, 1))
        told.append(f"{name} {off:.2g}")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    figure.alt = f"{title}. The sum of a row or column that is farthest from 1, by how far: {', '.join(told)}."
    return figure


def show_mixing(axis: Axes, matrix: Float[np.ndarray, "streams other"], size: float = 8.0) -> None:
    """A table of numbers, each as deep in color as it is large, with the sums of rows and columns beside it."""
    clean(axis, grid="")
    axis.spines["bottom"].set_visible(False)
    n, most = len(matrix), max(1.0, float(np.abs(matrix).max()))
    axis.imshow(matrix, cmap=_SHADES, vmin=-most, vmax=most, interpolation="nearest")
    for (row, column), value in np.ndenumerate(matrix):
        ink = "white" if abs(value) > 0.62 * most else INK
        axis.text(column, row, _short(value), ha="center", va="center", fontsize=size, color=ink)
    for at in range(n):
        right, below = matrix[at].sum(), matrix[:, at].sum()
        axis.text(n - 0.3, at, _short(right), ha="left", va="center", fontsize=size, color=MUTED)
        axis.text(at, n - 0.1, _short(below), ha="center", va="center", fontsize=size, color=MUTED)
    axis.set(xlim=(-0.5, n + 0.35), ylim=(n + 0.2, -0.5), xticks=[], yticks=[])


def _short(value: float) -> str:
    """Two digits behind the point, fewer where there are many before it."""
    words = f"{value:.2f}" if abs(value) < 9.995 else f"{value:.0f}" if abs(value) < 999.5 else f"{value:.0e}"
    return words.replace("-0.00", "0.00").replace("-", "−").replace("e+0", "e")
