"""Residual streams on their way: one layer's mixing as a table, and how large each stream is after every one."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moe_lessons.figures.lesson_17 import show_mixing
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure


def draw_streams(
    matrix: Float[np.ndarray, "streams other"], sizes: Float[np.ndarray, "points streams"], title: str
) -> Figure:
    """The last mixing with the sums of its rows and columns, and each stream's root mean square, in powers of ten."""
    figure = new_figure(WIDEST, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    show_mixing(left, matrix)
    left.set_xlabel("to stream", fontsize=8.5, color=MUTED)
    left.set_ylabel("from stream", fontsize=8.5, color=MUTED)
    _curves(right, sizes)
    heading(left, title)
    grown = sizes[-1].max() / sizes[0].max()
    figure.alt = (
        f"{title}. The last of {len(sizes) - 1} mixings: rows sum to {_span(matrix.sum(axis=1))}, columns to "
        f"{_span(matrix.sum(axis=0))}. The largest of {len(matrix)} streams comes to {grown:.3g} times its first size."
    )
    return figure


def _curves(axis: Axes, sizes: Float[np.ndarray, "points streams"]) -> None:
    clean(axis)
    points, ends = range(len(sizes)), []
    for stream, values in enumerate(sizes.T):
        color = PALETTE[stream % len(PALETTE)]
        axis.plot(points, values, color=color, linewidth=1.8)
        ends.append((len(sizes) - 1, float(values[-1]), f"stream {stream}", color))
    axis.set(yscale="log", xlabel="mixings", ylabel="root mean square")
    low, high = float(sizes.min()), float(sizes.max())
    axis.set_ylim(min(0.1, low / 2), max(10, 2 * high))
    axis.minorticks_off()
    axis.tick_params(labelcolor=INK)
    label_ends(axis, ends, size=8)


def _span(values: Float[np.ndarray, " streams"]) -> str:
    return f"{values.min():.2f}..{values.max():.2f}"
