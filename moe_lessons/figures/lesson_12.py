"""Lesson 12's pictures: prices and laws with their ranges."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, PALETTE, WIDEST, clean, heading, name_ends, new_figure


def draw_ranges(ranges: Mapping[str, tuple[float, float, float]], title: str, xlabel: str) -> Figure:
    """One line for each name from low to high with a dot at the middle value, on a logarithmic axis."""
    figure = new_figure(WIDEST, 0.36 * len(ranges) + 0.85)
    axis = clean(figure.subplots(), grid="x")
    for row, (low, middle, high) in enumerate(ranges.values()):
        axis.plot([low, high], [row, row], color=PALETTE[0], linewidth=4, alpha=0.35, solid_capstyle="round")
        axis.plot(middle, row, marker="o", color=PALETTE[0], markersize=7)
        words = f"{middle:.3g}" if low == high else f"{middle:.3g}  ({low:.3g} to {high:.3g})"
        axis.annotate(
            words, (high, row), xytext=(9, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK
        )
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_yticks(range(len(ranges)), list(ranges))
    axis.tick_params(axis="y", labelcolor=INK, labelsize=9)
    axis.invert_yaxis()
    low, high = min(each[0] for each in ranges.values()), max(each[2] for each in ranges.values())
    axis.set(xlabel=xlabel, xlim=(low / 1.5, high * (high / low) ** 0.45))
    axis.margins(y=0.2)
    heading(axis, title)
    told = [f"{name} {middle:.3g}, from {low:.3g} to {high:.3g}" for name, (low, middle, high) in ranges.items()]
    figure.alt = f"{title}. {xlabel}: {'; '.join(told)}."
    return figure


def draw_laws(
    runs: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    bands: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]],
    later: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    xlabel: str = "training FLOPs",
    ylabel: str = "nats per token",
) -> Figure:
    """Runs as dots, each law as a line with a band (compute, low, middle, high), and runs that no fit saw as stars."""
    figure = new_figure(WIDEST, 3.5)
    axis = clean(figure.subplots())
    ends = []
    for (name, (compute, loss)), color in zip(runs.items(), (PALETTE[0], PALETTE[3]), strict=False):
        axis.scatter(compute, loss, color=color, s=16, alpha=0.55, linewidth=0)
        x, low, middle, high = bands[name]
        axis.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
        axis.plot(x, middle, color=color, linewidth=1.7)
        stars = np.array(later.get(name, ()))
        if len(stars):
            axis.scatter(
                stars[:, 0], stars[:, 1], color=color, marker="*", s=110, edgecolor="white", linewidth=0.8, zorder=3
            )
        ends.append((x[-1], middle[-1], name, color))
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set(xlabel=xlabel, ylabel=ylabel)
    name_ends(axis, title, ends)
    return figure
