"""Lesson 11's picture: the main model's distribution and the draft's, laid over each other."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from moe_lessons.figures.speculation import KEPT, MAIN, REFUSED
from moe_lessons.figures.style import INK, WIDEST, clean, heading, new_figure, printable


def draw_overlap(
    wanted: Float[np.ndarray, " vocab"],
    drafted: Float[np.ndarray, " vocab"],
    pieces: Sequence[str],
    title: str = "",
    most: int = 12,
) -> Figure:
    """Two distributions on the same tokens: what both share, what the draft has too much of, and what it lacks.

    The likeliest tokens are drawn; the shares in the legend are those of all.
    """
    figure = new_figure(WIDEST, 2.9)
    axis = clean(figure.subplots())
    both = np.minimum(wanted, drafted)
    too_much, too_little = drafted - both, wanted - both
    order = np.argsort(-(wanted + drafted), kind="stable")[:most]
    names = {
        "both: accepted": both.sum(),
        "drafted too often: refused": too_much.sum(),
        "drafted too rarely: drawn in their place": too_little.sum(),
    }
    labels = [f"{name} ({share:.0%})" for name, share in names.items()]
    places, base = np.arange(len(order)), both[order]
    axis.bar(places, base, width=0.8, color=KEPT, label=labels[0])
    much = too_much[order] > 0  # an outline would be seen at height 0 as well
    hatched = {"color": "white", "edgecolor": REFUSED, "hatch": "////", "linewidth": 1}
    axis.bar(places[much], too_much[order][much], 0.8, base[much], label=labels[1], **hatched)
    axis.bar(places, too_little[order], 0.8, base, color=MAIN, alpha=0.85, label=labels[2])
    words = [printable(pieces[int(token)]) for token in order]
    long = max(map(len, words), default=0) > 4
    axis.set_xticks(places, words, size=8.5, family="DejaVu Sans Mono", rotation=90 if long else 0)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=INK)
    heading(axis, title)
    return figure
