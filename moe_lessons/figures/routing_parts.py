"""The parts of RouterView's still picture: chips of text, ribbons, and the stack of layers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.path import Path

from moe_lessons.figures.colors import ink_on
from moe_lessons.figures.contrast import PAPER
from moe_lessons.figures.style import INK, MUTED
from moe_lessons.tracing.rule import Knobs, Routed
from moe_lessons.tracing.trace import RoutingTrace

SIGN = 0.0645  # inches: the width of one sign of the text
LINE = 0.25  # inches: from line to line of the text
CHIP = 0.18  # inches: the height of a token
_PAD, _BLANK = 0.035, 0.06  # inches inside a chip, and for a blank between chips
_THICK, _THIN = 0.085, 0.007  # inches of a token's whole weight, and of the thinnest ribbon
_MOST_RIBBONS = 1200


class Still(NamedTuple):
    """What all parts of the picture draw from."""

    trace: RoutingTrace
    routed: Sequence[Routed]  # one per layer
    row: int
    pinned: int
    colors: list[str]
    highlight: int | None
    knobs: Knobs  # of the drawn layer


class Chip(NamedTuple):
    """One token's place, in inches from the upper left corner of the text."""

    token: int
    x: float
    line: int
    width: float
    text: str


def mixed(color: str | tuple, amount: float, ground: str = PAPER) -> tuple[float, ...]:
    """So much of a color on the paper."""
    return tuple(amount * one + (1 - amount) * other for one, other in zip(to_rgb(color), to_rgb(ground), strict=True))


def chips_of(trace: RoutingTrace, width: float, pinned: int, most_lines: int, shown) -> list[Chip]:
    """The tokens in lines of that many inches; at most `most_lines`, so chosen that the pinned token is among them."""
    chips: list[Chip] = []
    x, line = 0.0, 0
    for token, piece in enumerate(trace.pieces):
        bare = piece[1:] if piece[:1] == " " and piece.strip() else piece
        text = (shown(bare) if bare.strip(" ") else "\u2423" * len(bare))[: int(width / SIGN) - 2] or "\u2423"
        wide = max(0.14, len(text) * SIGN + 2 * _PAD)
        x += _BLANK if bare != piece else 0
        apart = token and trace.sequence[token] != trace.sequence[token - 1]
        if x and (x + wide > width or apart):
            x, line = 0.0, line + 1
        chips.append(Chip(token, x, line, wide, text))
        x += wide + 0.03
        if piece.endswith("\n") and token < trace.n_tokens - 1:
            x, line = 0.0, line + 1
    last = max(chips[pinned].line, most_lines - 1)
    kept = range(last - most_lines + 1, last + 1)
    return [chip._replace(line=chip.line - kept[0]) for chip in chips if chip.line in kept]


def text_panel(page: Axes, left: float, top: float, chips: list[Chip], view: Still, changed: np.ndarray) -> None:
    """The tokens: colored by the first expert, underlined by the second, dotted above where changed."""
    routed, trace, colors = view.routed[view.row], view.trace, view.colors
    for token, offset, line, width, text in chips:
        x, y = left + offset, top + line * LINE
        experts, weights, dropped = routed.experts[token], routed.weights[token], routed.dropped[token]
        inside = view.highlight is None or view.highlight in experts
        strength = weights[0] / weights.sum() if weights.sum() > 0 else 0
        blank = not trace.pieces[token].strip()
        shade = (0.16 + 0.44 * strength) * (0.55 if blank else 1) if inside else 0
        face = mixed(colors[experts[0]], shade)
        page.add_patch(Rectangle((x, y), width, CHIP, facecolor=face, linewidth=0, zorder=3))
        if len(experts) > 1 and inside and not dropped[1]:
            line_of = Rectangle(
                (x, y + CHIP - 0.025), width, 0.025, facecolor=colors[experts[1]], linewidth=0, zorder=3
            )
            page.add_patch(line_of)
        if changed[token]:
            page.plot([x + 0.01, x + width - 0.01], [y - 0.02] * 2, color=INK, linewidth=1.2, linestyle=":", zorder=3)
        if dropped.all():
            page.plot([x, x + width], [y + CHIP / 2] * 2, color=INK, linewidth=0.9, zorder=4)
        if token == view.pinned:
            box = Rectangle((x - 0.012, y - 0.012), width + 0.024, CHIP + 0.024, fill=False, edgecolor=INK, zorder=4)
            page.add_patch(box)
        # Sign by sign: the font's own width would drift away from the chip's.
        start = x + (width - len(text) * SIGN) / 2
        for at, sign in enumerate(text):
            if sign != " ":
                page.text(
                    start + (at + 0.5) * SIGN,
                    y + 0.08,
                    sign,
                    fontsize=7.4,
                    family="DejaVu Sans Mono",
                    ha="center",
                    va="center_baseline",
                    color=MUTED if blank or sign in "\u21b5\u2192" or not inside else INK,
                    parse_math=False,
                    zorder=4,
                )


def ribbon_panel(page: Axes, left: float, top: float, foot: float, mouth: float, chips, bins, view: Still) -> int:
    """Ribbons from the chips to the bins' mouths, as thick as the weights; how many each token has.

    `foot` is where the text ends, `mouth` where the bins begin, `bins` each one's left edge and width, all in inches.
    """
    routed = view.routed[view.row]
    top_k = routed.experts.shape[1]
    ranks = max(1, min(top_k, _MOST_RIBBONS // max(1, len(chips))))
    order = sorted(chips, key=lambda chip: chip.x)
    whole = max([routed.weights[chip.token].sum() for chip in chips] + [1e-9])
    arriving = np.zeros(len(bins))
    ends = []
    for chip in order:
        unit = min(_THICK, max(0.03, chip.width - 0.03)) / whole
        weights = routed.weights[chip.token, :ranks] * unit
        starts = left + chip.x + chip.width / 2 - weights.sum() / 2 + np.cumsum(weights) - weights / 2
        for k in range(ranks):
            expert, wide = int(routed.experts[chip.token, k]), max(_THIN, float(weights[k]))
            y = top + chip.line * LINE + CHIP
            ends.append((chip.token, expert, starts[k], y, wide, bool(routed.dropped[chip.token, k])))
            arriving[expert] += wide
    taken = np.zeros(len(bins))
    paths, colors, widths, styles = [], [], [], []
    for token, expert, x, y, wide, lost in ends:
        edge, width = bins[expert]
        squeeze = min(1.0, (width * 0.9) / arriving[expert])
        end = edge + width / 2 - arriving[expert] * squeeze / 2 + (taken[expert] + wide / 2) * squeeze
        taken[expert] += wide
        turn = max(y, foot)
        bend = (mouth - turn) * 0.56
        points = [(x, y), (x, turn), (x, turn + bend), (end, mouth - bend), (end, mouth)]
        paths.append(Path(points, [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]))
        faded = view.highlight not in (None, expert)
        alpha = 0.95 if token == view.pinned and not faded else 0.12 if faded else 0.5
        colors.append((*to_rgb(MUTED if lost else view.colors[expert]), alpha))
        widths.append(0.7 if lost else wide * 72)
        styles.append((0, (3, 2)) if lost else "-")
    mine = [i for i, (token, *_) in enumerate(ends) if token == view.pinned]
    for some, height in ([i for i in range(len(ends)) if i not in set(mine)], 1), (mine, 1.5):
        page.add_collection(
            PathCollection(
                [paths[i] for i in some],
                facecolors="none",
                edgecolors=[colors[i] for i in some],
                linewidths=[widths[i] for i in some],
                linestyles=[styles[i] for i in some],
                capstyle="butt",
                zorder=height,
            ),
            autolim=False,
        )
    return ranks


def stack_panel(axis: Axes, view: Still) -> None:
    """Each layer as a strip of its tokens' first experts, with the way of the pinned token through all of them."""
    trace, layers = view.trace, view.trace.n_layers
    table = np.array([to_rgb(color) for color in view.colors])
    picture = np.stack([table[routed.experts[:, 0]] for routed in view.routed])  # [layers, tokens, 3]
    if view.highlight is not None:
        outside = np.stack([~(routed.experts == view.highlight).any(axis=-1) for routed in view.routed])
        picture[outside] = 0.2 * picture[outside] + 0.8 * np.array(to_rgb(PAPER))
    axis.set(xlim=(0, 1), ylim=(layers, 0))
    axis.axis("off")
    named = layers <= 12
    for at in range(layers):
        place = (0.0, 1.0, at + (0.9 if named else 1), at + (0.5 if named else 0))
        x = (view.pinned + 0.5) / trace.n_tokens
        axis.plot([x, x], place[2:], color=INK, linewidth=0.8)
        axis.imshow(picture[at : at + 1], extent=place, aspect="auto", interpolation="nearest")
        if named:
            here = at == view.row
            words = f"layer {trace.layers[at]}"
            axis.text(0, at + 0.32, words, fontsize=7.5, color=INK if here else MUTED, weight="bold" if here else 400)
            for rank, expert in enumerate(view.routed[at].experts[view.pinned][:2][::-1]):
                color = view.colors[expert]
                box = FancyBboxPatch(
                    (0.83 - 0.2 * rank, at + 0.1), 0.15, 0.26, boxstyle="round,pad=0.01", facecolor=color, linewidth=0
                )
                axis.add_patch(box)
                x, ink = 0.905 - 0.2 * rank, ink_on(color)
                axis.text(x, at + 0.24, str(expert), fontsize=6.5, color=ink, ha="center", va="center")
            if here:
                edge = Rectangle((-0.05, at + 0.02), 1.1, 0.96, fill=False, edgecolor=INK, linewidth=1, clip_on=False)
                axis.add_patch(edge)
    axis.set(xlim=(0, 1), ylim=(layers, 0))
