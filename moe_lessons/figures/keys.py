"""What a token reads of all before it, a band for each kind of attention: where it looks, and how much that is."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure


class Band(NamedTuple):
    """One kind of attention, and the stretches that it reads, each (first, behind the last)."""

    name: str
    tokens: Sequence[tuple[int, int]]  # read as they are
    entries: Sequence[tuple[int, int]]  # tokens that are read as one entry each
    said: str  # how much it is, in words


def draw_reach(bands: Sequence[Band], query: int, title: str, xlabel: str = "position in the text") -> Figure:
    """A band for each kind, up to the position of the query; entries are as wide as the tokens that they stand for.

    Stretches that would be thinner than a pixel are drawn a pixel wide.
    """
    figure = new_figure(WIDEST, 0.7 + 0.46 * len(bands))
    axis = clean(figure.subplots(), grid="")
    thin = (query + 1) / 900
    for row, (band, color) in enumerate(zip(bands, PALETTE, strict=False)):
        axis.barh(row, query + 1, height=0.56, color=color, alpha=0.1)
        for stretches, height, alpha in ((band.entries, 0.36, 0.55), (band.tokens, 0.56, 1.0)):
            wide = [
                (first, max(stop - first, thin) - (0 if alpha == 1 else 0.12 * (stop - first)))
                for first, stop in stretches
            ]
            axis.broken_barh(wide, (row - height / 2, height), color=color, alpha=alpha, linewidth=0)
        axis.annotate(
            band.said, (1, row), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=8, color=INK, annotation_clip=False,
        )  # fmt: skip
    axis.set_yticks(range(len(bands)), [band.name for band in bands], color=INK, fontsize=8.5)
    axis.set(xlim=(0, query + 1), ylim=(len(bands) - 0.5, -0.5), xlabel=xlabel)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.xaxis.label.set(color=MUTED)
    heading(axis, title)
    told = "; ".join(f"{band.name}: {band.said}".replace("\n", " ") for band in bands)
    figure.alt = f"{title}. A band for each kind of attention, marked where it reads: {told}."
    return figure
