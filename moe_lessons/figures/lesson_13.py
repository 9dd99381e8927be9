"""Lesson 13's pictures: every expert of every layer of a model of others; what is learned against what is forgotten."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from moe_lessons.figures.colors import ink_on
from moe_lessons.figures.loads import over_mean, shade
from moe_lessons.figures.style import INK, PALETTE, WIDEST, clean, heading, new_figure

_MOST_NUMBERS = 20  # columns; with more, a number is wider than its cell


def draw_load_map(loads: Float[np.ndarray, "layers experts"] | Int[np.ndarray, "layers experts"], title: str) -> Figure:
    """A row for each layer, a cell for each expert: its load over the mean, orange above 1, blue below."""
    ratio = over_mean(loads)
    layers, experts = loads.shape
    figure = new_figure(WIDEST, 0.7 + min(0.3 * layers, 5.0))
    axis = clean(figure.subplots(), grid="")
    axis.spines["bottom"].set_visible(False)
    tint = shade(ratio)
    colors = 1 - tint[..., 3:] * (1 - tint[..., :3])  # on white
    axis.imshow(colors, aspect="auto", interpolation="nearest")
    if experts <= _MOST_NUMBERS and layers <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(ratio):
            words = f"{value:.1f}" if np.isfinite(value) else "–"
            axis.text(
                column,
                row,
                words,
                ha="center",
                va="center",
                fontsize=7.5,
                color=ink_on(to_hex(tuple(colors[row, column]))),
            )
    step = 1 if layers <= _MOST_NUMBERS else 4
    axis.set_yticks(range(0, layers, step), [f"layer {row}" for row in range(0, layers, step)])
    step = 1 if experts <= _MOST_NUMBERS else 8
    axis.set_xticks(range(0, experts, step), [str(column) for column in range(0, experts, step)])
    axis.xaxis.tick_top()
    axis.tick_params(labelsize=8, labelcolor=INK)
    axis.set_xlabel("expert; its load over the mean of its layer")
    heading(axis, title)
    row, column = np.unravel_index(int(np.nanargmax(ratio)), ratio.shape) if np.isfinite(ratio).any() else (0, 0)
    figure.alt = f"{title}. Load over its layer's mean, {layers} layers by {experts} experts; most in layer {row}, "
    figure.alt += (
        f"expert {column}: {ratio[row, column]:.2f} times. {(ratio < 0.1).sum()} have under a tenth of the mean."
    )
    return figure


def draw_trade(
    arms: Mapping[str, Sequence[tuple[float, float]]], title: str, xlabel: str, ylabel: str, least: float = 0.001
) -> Figure:
    """A line for each arm through its points (gained, lost); losses by powers of ten, below `least` at `least`."""
    figure = new_figure(WIDEST, 3.4)
    axis = clean(figure.subplots(), grid="both")
    for number, (name, points) in enumerate(arms.items()):
        gained, lost = (list(values) for values in zip(*points, strict=True))
        marker = "osD^vP"[number % 6]
        axis.plot(
            gained, [max(value, least) for value in lost], color=PALETTE[number], marker=marker, markersize=4.5,
            linewidth=1.5, label=name,
        )  # fmt: skip
    axis.set(xlabel=xlabel, ylabel=ylabel, yscale="log")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=INK)
    most = {name: max(points) for name, points in arms.items()}
    told = [f"{name} {x:.2f} with {y:.2g}" for name, (x, y) in most.items()]
    figure.alt = f"{title}. {xlabel} and {ylabel}, where most is gained: {'; '.join(told)}."
    return figure
