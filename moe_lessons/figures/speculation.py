"""What became of drafts, pass by pass: the still picture of DraftView."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, heading, new_figure, printable

KEPT, REFUSED, MAIN, BONUS = PALETTE[2], PALETTE[3], PALETTE[0], PALETTE[5]
_TEXT_ENDS, _ROOM = 26, 84  # characters: where a row's drafts begin, and how many fit in it


class Pass(NamedTuple):
    """One pass of the main model, with words in place of tokens."""

    before: str  # the text that it continues
    drafts: Sequence[str]
    accepted: int
    token: str


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
