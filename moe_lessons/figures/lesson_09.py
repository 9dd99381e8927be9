"""Experts cut into smaller ones: a layer drawn to scale, and what several seeds say about the difference."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure

_SHARED = PALETTE[1]  # always at work
_CHOSEN = PALETTE[0]


class Widths(NamedTuple):
    """A layer's experts: how many, how wide, which ones a token uses, and how many are shared."""

    n_routed_experts: int
    hidden_dim: int
    chosen: Sequence[int]
    n_shared_experts: int = 0


def draw_cut(layers: Mapping[str, Widths], title: str) -> Figure:
    """Each layer as a row of experts, as wide as their hidden units; those at work on one token are filled."""
    figure = new_figure(WIDEST, 0.75 + 0.42 * len(layers))
    axis = figure.subplots()
    widest = max((each.n_routed_experts + each.n_shared_experts) * each.hidden_dim for each in layers.values())
    axis.set(xlim=(-0.002 * widest, 1.002 * widest), ylim=(len(layers) - 0.45, -0.75))
    axis.axis("off")
    for row, (name, layer) in enumerate(layers.items()):
        axis.text(0, row - 0.3, name, fontsize=8, color=INK, va="center")
        for expert in range(layer.n_shared_experts + layer.n_routed_experts):
            number = expert - layer.n_shared_experts  # below 0: shared
            face = _SHARED if number < 0 else _CHOSEN if number in layer.chosen else SHEET
            place = (expert * layer.hidden_dim + 0.06 * layer.hidden_dim, row - 0.12)
            axis.add_patch(Rectangle(place, 0.88 * layer.hidden_dim, 0.42, fc=face, ec=MUTED, lw=0.7))
    heading(axis, title)
    told = [
        f"{name}: {each.n_routed_experts} experts of width {each.hidden_dim}, {len(each.chosen)} of them filled"
        + (f", and {each.n_shared_experts} shared" if each.n_shared_experts else "")
        for name, each in layers.items()
    ]
    figure.alt = f"{title}. {'; '.join(told)}."
    return figure


def draw_seeds(losses: Mapping[str, Sequence[float]], title: str, xlabel: str) -> Figure:
    """One row for each arm, one dot for each seed, a bar at the mean; a thin line joins the same seed's dots."""
    figure = new_figure(WIDEST, 0.95 + 0.36 * len(losses))
    axis = clean(figure.subplots(), grid="x")
    table = np.array(list(losses.values()))  # arms x seeds
    for seed in table.T:
        axis.plot(seed, range(len(table)), color=RULE, linewidth=1, zorder=1)
    for row, values in enumerate(table):
        axis.scatter(values, [row] * len(values), s=26, color=_CHOSEN, edgecolor="white", linewidth=0.6, zorder=3)
        axis.plot([values.mean()] * 2, [row - 0.27, row + 0.27], color=INK, linewidth=2, zorder=4)
    axis.set_yticks(range(len(table)), list(losses), fontsize=8.5, color=INK)
    axis.set(xlabel=xlabel, ylim=(len(table) - 0.5, -0.5))
    heading(axis, title)
    told = [
        f"{name}: mean {row.mean():.4g}, from {row.min():.4g} to {row.max():.4g}"
        for name, row in zip(losses, table, strict=True)
    ]
    figure.alt = f"{title}. {xlabel}, {table.shape[1]} seeds. {'; '.join(told)}."
    return figure


def draw_sizes(ks: Sequence[int], ratios: Mapping[str, Sequence[float]], title: str, ylabel: str) -> Figure:
    """Lines over the number of chosen experts, both axes in powers of two; 1 is where both sides are equally long."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    axis.axhline(1, color=MUTED, linewidth=0.9, dashes=(4, 3))
    for (name, values), color, marker in zip(ratios.items(), (PALETTE[i] for i in (0, 3, 2, 1)), "osD^", strict=False):
        axis.plot(ks, values, color=color, marker=marker, markersize=4.5, linewidth=1.6, label=name)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set(xlabel="experts chosen", ylabel=ylabel)
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)
    return figure
