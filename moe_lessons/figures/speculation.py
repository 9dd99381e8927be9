"""Speculative decoding in pictures: two distributions laid over each other, and what became of drafts, pass by pass."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure, printable

KEPT, REFUSED, MAIN, BONUS = PALETTE[2], PALETTE[3], PALETTE[0], PALETTE[5]
_TEXT_ENDS, _ROOM = 26, 84  # characters: where a row's drafts begin, and how many fit in it


class Pass(NamedTuple):
    """One pass of the main model, with words in place of tokens."""

    before: str  # the text that it continues
    drafts: Sequence[str]
    accepted: int
    token: str


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
    words = [printable(pieces[token]) for token in order]
    long = max(map(len, words), default=0) > 4
    axis.set_xticks(places, words, size=8.5, family="DejaVu Sans Mono", rotation=90 if long else 0)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=INK)
    heading(axis, title)
    return figure


def draw_passes(passes: Sequence[Pass], title: str = "", most: int = 14) -> Figure:
    """The last passes, a row each: accepted drafts, the refused one and those behind it, and the main model's token."""
    shown = list(passes)[-most:]
    figure = new_figure(WIDEST, 0.24 * max(1, len(shown)) + 0.7)
    axis = figure.subplots()
    for row, (before, drafts, accepted, token) in enumerate(shown):
        number = len(passes) - len(shown) + row + 1
        end = printable(before)[-16:]
        axis.text(0, row, f"{number:3d}", va="center", fontsize=8, color=MUTED)
        axis.text(_TEXT_ENDS - 1, row, end, va="center", ha="right", fontsize=8, family="DejaVu Sans Mono", color=MUTED)
        at = float(_TEXT_ENDS)
        for place, draft in enumerate(drafts):
            color = KEPT if place < accepted else REFUSED if place == accepted else RULE
            at = _chip(axis, at, row, draft, color, struck=place >= accepted)
        _chip(axis, at + 1, row, token, BONUS if drafts and accepted == len(drafts) else MAIN)
    axis.set(xlim=(0, _ROOM), ylim=(max(1, len(shown)) - 0.4, -0.6), xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)
    names = {"accepted draft": KEPT, "refused draft": REFUSED, "in its place": MAIN, "for free": BONUS}
    marks = [axis.scatter([], [], marker="s", s=40, color=color, label=name) for name, color in names.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)
    heading(axis, title)
    drafts, kept = sum(len(one.drafts) for one in shown), sum(one.accepted for one in shown)
    figure.alt = f"{title or 'Passes'}. The last {len(shown)} passes, a row each: {kept} of {drafts} drafts accepted, "
    figure.alt += "the refused ones struck out, each row ending with the main model's own token."
    return figure


def _chip(axis: Axes, at: float, row: int, piece: str, color: str, struck: bool = False) -> float:
    """A piece on its colored ground; returns where the next one begins."""
    words = printable(piece)
    width = len(words.replace("\\$", "$"))
    axis.barh(row, width + 0.6, 0.78, at - 0.3, color=color, alpha=0.35 if color != RULE else 1, linewidth=0)
    axis.text(at, row, words, va="center", fontsize=8, family="DejaVu Sans Mono", color=MUTED if struck else INK)
    if struck:
        axis.plot([at - 0.2, at + width + 0.2], [row, row], color=REFUSED if color == REFUSED else MUTED, linewidth=1.2)
    return at + width + 1
