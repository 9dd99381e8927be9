"""Lesson 16's pictures: how an indexer's heads add up to a choice, and what reading costs at great lengths."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from moe_lessons.figures.style import (
    INK,
    MUTED,
    PALETTE,
    WIDEST,
    clean,
    heading,
    name_ends,
    new_figure,
    plot_named,
    printable,
)


def draw_index(
    parts: Float[np.ndarray, "heads time"], chosen: Bool[np.ndarray, " time"], pieces: Sequence[str], title: str
) -> Figure:
    """For one query, each key's score as the sum of its heads' parts; chosen keys have their name in bold and a dot.

    Parts below zero hang down from the line.
    """
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    keys = np.arange(parts.shape[1])
    up, down = np.zeros(len(keys)), np.zeros(len(keys))
    for head, part in enumerate(parts):
        axis.bar(keys, part, 0.8, np.where(part >= 0, up, down), color=PALETTE[head], label=f"head {head}")
        up, down = up + part.clip(min=0), down + part.clip(max=0)
    total = parts.sum(axis=0)
    axis.plot(keys[chosen], total[chosen], "o", color=INK, markersize=4.5, label="chosen, at its score")
    axis.axhline(0, color=MUTED, linewidth=0.8)
    axis.set_xticks(keys, [printable(piece) for piece in pieces], rotation=90, fontsize=7.5)
    for label, mine in zip(axis.get_xticklabels(), chosen, strict=True):
        label.set(color=INK if mine else MUTED, fontweight="bold" if mine else "normal")
    axis.set(xlim=(-0.6, len(keys) - 0.4), ylabel="part of the score")
    axis.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=len(parts) + 1, loc="upper left")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.22 * (high - low))
    heading(axis, title)
    names = ", ".join(printable(piece) for piece, mine in zip(pieces, chosen, strict=True) if mine)
    figure.alt = f"{title}. Bars of {len(parts)} heads' parts over {len(keys)} keys; chosen: {names}."
    return figure


def draw_lengths(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    ylabel: str,
    xlabel: str = "tokens before",
) -> Figure:
    """Named curves (lengths, values), both axes in powers."""
    figure = new_figure(WIDEST, 3.0)
    axis = clean(figure.subplots())
    axis.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ends = plot_named(axis, curves, PALETTE, dots=12, linewidth=1.9, markersize=3.5)
    lengths = sorted({length for x, _ in curves.values() for length in x})
    ticks = [length for length in lengths if np.log2(length) % 2 == 0]
    axis.set_xticks(ticks, [in_k(int(length)) for length in ticks])
    axis.minorticks_off()
    axis.set_xlim(lengths[0], lengths[-1])
    low, high = axis.get_ylim()
    if high < 100 * low:  # powers of ten alone would be a single mark or two
        marks = [d * 10.0**e for e in range(-6, 7) for d in (1, 2, 5) if low <= d * 10.0**e <= high]
        axis.set_yticks(marks, [f"{mark:g}" for mark in marks])
        axis.set_ylim(low, high)
    name_ends(axis, title, ends)
    return figure


def in_k(tokens: int) -> str:
    """A length in powers of two, such as 256, 64k or 1M."""
    return str(tokens) if tokens < 1024 else f"{tokens // 1024}k" if tokens < 2**20 else f"{tokens // 2**20}M"
