"""What a token reads of all before it, a band for each kind of attention: where it looks, and how much that is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, PALETTE, WIDEST, clean, heading, new_figure


class Band(NamedTuple):
    """One kind of attention, and the stretches that it reads, each (first, behind the last)."""

    name: str
    tokens: Sequence[tuple[int, int]]  # read as they are
    entries: Sequence[tuple[int, int]]  # tokens that are read as one entry each
    said: str  # how much it is, in words


def draw_reach(bands: Sequence[Band], query: int, title: str, last: int = 0) -> Figure:
    """A band for each kind, up to the position of the query; entries are as wide as the tokens that they stand for.

    With `last`, that many tokens are drawn on the right; on the left, where single ones are thinner than a pixel, the
    height says how much of each hundredth of the text is read.
    """
    figure = new_figure(WIDEST, (0.9 if last else 0.7) + 0.46 * len(bands))
    axes = [clean(axis, grid="") for axis in figure.subplots(1, 2 if last else 1, squeeze=False)[0]]
    for row, (band, color) in enumerate(zip(bands, PALETTE, strict=False)):
        for axis in axes:
            axis.barh(row, query + 1, height=0.56, color=color, alpha=0.1)
        if last:
            for stretches, alpha in ((band.entries, 0.4), (band.tokens, 1.0)):
                shares = 0.56 * _hundredths(stretches, query + 1)
                edges = np.linspace(0, query + 1, 101)
                axes[0].bar(edges[:-1], -shares, np.diff(edges), row + 0.28, align="edge", color=color, alpha=alpha)
        for stretches, height, alpha in ((band.entries, 0.36, 0.55), (band.tokens, 0.56, 1.0)):
            gap = 0.12 if stretches is band.entries else 0
            wide = [(first, (1 - gap) * (stop - first)) for first, stop in stretches]
            axes[-1].broken_barh(wide, (row - height / 2, height), color=color, alpha=alpha, linewidth=0)
        axes[-1].annotate(
            band.said, (1, row), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=8, color=INK, annotation_clip=False,
        )  # fmt: skip
    for axis in axes:
        axis.set_yticks(
            range(len(bands)), [band.name for band in bands] if axis is axes[0] else [], color=INK, size=8.5
        )
        axis.set(xlim=(0, query + 1), ylim=(len(bands) - 0.5, -0.5), xlabel="position in the text")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    heading(axes[0], title)
    if last:
        axes[0].set(xticks=[0, (query + 1) // 2], xlabel="all of it: how much of each hundredth")
        axes[1].set(xlim=(query + 1 - last, query + 1), xticks=[query + 1 - last, query + 1])
        axes[1].set_xlabel(f"the last {last}, one by one")
    told = "; ".join(f"{band.name}: {band.said}".replace("\n", " ") for band in bands)
    figure.alt = f"{title}. A band for each kind of attention, marked where it reads: {told}."
    return figure


def _hundredths(stretches: Sequence[tuple[int, int]], length: int) -> Float[np.ndarray, " points"]:
    """Of each hundredth of the positions, the share that lies in one of the stretches."""
    inside = np.zeros(length + 1, dtype=int)
    for first, stop in stretches:
        inside[first] += 1
        inside[min(stop, length)] -= 1
    covered = np.concatenate([[0], (np.cumsum(inside[:-1]) > 0).cumsum()])
    edges = np.linspace(0, length, 101).round().astype(int)
    return np.diff(covered[edges]) / np.maximum(1, np.diff(edges))
