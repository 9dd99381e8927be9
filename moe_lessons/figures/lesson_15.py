"""Lesson 15's pictures: tokens on their way between processes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Num
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure, printable

_SHADES = LinearSegmentedColormap.from_list("traffic", [SHEET, PALETTE[0]])
_BOX = {"boxstyle": "round,pad=0.02,rounding_size=0.12", "facecolor": SHEET, "linewidth": 1.2}


def draw_journeys(
    experts: Int[np.ndarray, "tokens top_k"],
    home: Int[np.ndarray, " tokens"],
    pieces: Sequence[str],
    n_experts: int,
    n_ranks: int,
    title: str,
) -> Figure:
    """Tokens on the left, experts on the right, each process a color; a colored line leaves its process, a gray stays.

    A token that meets two experts on another process is sent there once: the line is thicker.
    """
    figure = new_figure(WIDEST, 0.6 + 0.95 * n_ranks)
    axis = figure.subplots()
    axis.axis("off")
    size = n_experts // n_ranks
    heights = np.zeros(len(home))
    for rank in range(n_ranks):
        color, top = PALETTE[rank % len(PALETTE)], -rank
        for left, width in ((0.0, 1.7), (4.3, 1.7)):
            axis.add_patch(FancyBboxPatch((left, top - 0.4), width, 0.8, edgecolor=color, **_BOX))
        mine = np.flatnonzero(home == rank)
        heights[mine] = top + 0.3 - 0.6 * (np.arange(len(mine)) + 0.5) / max(1, len(mine))
        axis.text(-0.12, top, f"process {rank}", ha="right", va="center", color=color, fontsize=9, fontweight="bold")
        axis.text(6.12, top, f"process {rank}", ha="left", va="center", color=color, fontsize=9, fontweight="bold")
        names = ", ".join(str(expert) for expert in range(rank * size, (rank + 1) * size))
        axis.text(5.15, top, f"experts {names}", ha="center", va="center", color=INK, fontsize=8.5)
    for token, (chosen, start) in enumerate(zip(experts, heights, strict=True)):
        axis.text(0.85, start, printable(pieces[token]), ha="center", va="center", color=INK, fontsize=8.5)
        there, business = np.unique(chosen // size, return_counts=True)
        for rank, count in zip(there, business, strict=True):
            stays = rank == home[token]
            color = "#B5B5B5" if stays else PALETTE[home[token] % len(PALETTE)]
            end = -rank + 0.3 - 0.6 * (token + 0.5) / len(home)
            axis.plot([1.74, 4.26], [start, end], color=color, linewidth=1.1 * count, zorder=0 if stays else 1)
    axis.set(xlim=(-1.2, 7.2), ylim=(0.5 - n_ranks, 0.5))
    heading(axis, title)
    sent = sum(len(set((chosen // size).tolist()) - {int(at)}) for chosen, at in zip(experts, home, strict=True))
    figure.alt = f"{title}. {len(home)} tokens on {n_ranks} processes, with lines to their experts; "
    figure.alt += f"{sent} lines leave their process."
    return figure


def draw_traffic(
    matrices: Num[np.ndarray, "layers ranks ranks"], names: Sequence[str], title: str, unit: str = "kB"
) -> Figure:
    """One square for each layer: from the process of the row to that of the column; what stays at home is gray."""
    layers, ranks, _ = matrices.shape
    figure = new_figure(WIDEST, 0.75 + WIDEST / max(layers, 2))
    axes = figure.subplots(1, layers, squeeze=False)[0]
    sent = np.where(np.eye(ranks, dtype=bool), 0, matrices)
    most = max(1e-9, float(sent.max()))
    for axis, matrix, name in zip(axes, matrices, names, strict=True):
        clean(axis, grid="")
        away = np.ma.array(matrix, mask=np.eye(ranks, dtype=bool))
        axis.imshow(away, cmap=_SHADES, vmin=0, vmax=most, interpolation="nearest")
        for row in range(ranks):
            for column in range(ranks):
                at_home, value = row == column, matrix[row, column]
                dark = not at_home and value > 0.6 * most
                color = MUTED if at_home else "white" if dark else INK
                if at_home:
                    axis.add_patch(_gray(row))
                axis.text(column, row, f"{value:,.0f}", ha="center", va="center", fontsize=7.5, color=color)
        axis.set_xticks(range(ranks))
        axis.set_yticks(range(ranks))
        axis.set_xlabel("to process")
        axis.set_title(name, fontsize=9, color=INK)
    axes[0].set_ylabel("from process")
    figure.suptitle(f"{title} ({unit})", x=0.01, ha="left", fontsize=10, color=INK)
    return figure


def _gray(place: int) -> FancyBboxPatch:
    return FancyBboxPatch((place - 0.5, place - 0.5), 1, 1, boxstyle="square,pad=0", facecolor=RULE, linewidth=0)
