"""The plan of a dense transformer, and anything measured layer by layer."""

import itertools
import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, label_ends, new_figure


def draw_plan() -> Figure:
    """The stream from token ids to logits; a block's two parts each read it through a norm and add to it."""
    figure = new_figure(WIDEST, 2.5)
    axis = figure.subplots()
    axis.set(xlim=(0, 14), ylim=(0, 5))
    axis.axis("off")
    axis.add_patch(_box(3.0, 0.25, 7.55, 4.55, SHEET, RULE))
    axis.text(3.2, 4.35, "one block, repeated n_layers times", fontsize=8, color=MUTED, zorder=6)
    axis.annotate("", (12.65, 3.5), (2.35, 3.5), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 2.4, "zorder": 4})
    axis.text(2.45, 3.68, "stream", fontsize=8, color=MUTED)
    _part(axis, 0.1, 3.0, 2.2, "embedding", PALETTE[4])
    _part(axis, 10.95, 3.0, 1.05, "norm", PALETTE[7])
    _part(axis, 12.65, 3.0, 1.25, "head", PALETTE[2])
    axis.text(1.2, 2.62, "ids in", ha="center", fontsize=8, color=MUTED)
    axis.text(13.27, 2.62, "logits out", ha="center", fontsize=8, color=MUTED)
    for left, name, color, note in (
        (3.55, "attention", PALETTE[0], "tokens\nexchange"),
        (7.15, "feed-forward", PALETTE[1], "each token\nalone"),
    ):
        reads, plus = left + 0.55, left + 2.75
        wire = {"color": MUTED, "lw": 1.3, "zorder": 4}
        axis.plot([reads, reads], [3.5, 1.5], **wire)
        axis.plot([left + 2.0, plus, plus], [1.0, 1.0, 3.0], **wire)
        axis.annotate("", (plus, 3.28), (plus, 2.4), arrowprops={"arrowstyle": "-|>", **wire})
        axis.plot(plus, 3.5, marker="o", markersize=13, color="white", markeredgecolor=INK, zorder=5)
        axis.text(plus, 3.48, "+", ha="center", va="center", fontsize=12, color=INK, zorder=6)
        _part(axis, left + 0.05, 2.15, 1.0, "norm", PALETTE[7], height=0.75)
        _part(axis, left + 0.05, 0.5, 2.1, name, color)
        axis.text(left + 1.2, 2.5, note, fontsize=7.5, color=MUTED, va="center", zorder=6)
    figure.alt = (
        "The plan of a dense transformer: token ids, embedding, a stream through one block repeated n_layers times, "
        "norm, head, logits. In a block, attention (tokens exchange) and feed-forward (each token alone) both read the "
        "stream through a norm and add to it."
    )
    return figure


def _box(x: float, y: float, width: float, height: float, face: str, edge: str) -> FancyBboxPatch:
    return FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=0.15", fc=face, ec=edge, zorder=1)


def _part(axis: Axes, x: float, y: float, width: float, name: str, color: str, height: float = 1.0) -> None:
    axis.add_patch(_box(x, y, width, height, SHEET, color))
    axis.patches[-1].set(linewidth=1.8, zorder=5)
    axis.text(x + width / 2, y + height / 2, name, ha="center", va="center", fontsize=8.5, color=INK, zorder=6)


def draw_by_layer(curves: Mapping[str, Sequence[float]], title: str, ylabel: str, *, log: bool = False) -> Figure:
    """One line for each name, a value for each layer; a line ends where its values are no longer finite."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    ends = []
    for (name, values), color in zip(curves.items(), (PALETTE[i] for i in (0, 3, 2, 5)), strict=False):
        kept = list(itertools.takewhile(math.isfinite, values))
        axis.plot(range(len(kept)), kept, color=color, marker="o", markersize=3, linewidth=1.6)
        cut = len(kept) < len(values)
        if cut:
            axis.plot(len(kept) - 1, kept[-1], marker="x", markersize=9, markeredgewidth=2, color=color)
        # A name stands beside the cross, not on it.
        ends.append((len(kept) - 1 + 0.2 * cut, kept[-1], name, color))
    axis.set(xlabel="layer", ylabel=ylabel, yscale="log" if log else "linear")
    axis.minorticks_off()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    heading(axis, title)
    figure.draw_without_rendering()
    label_ends(axis, ends)
    return figure


def draw_contributions(attention: Sequence[float], feed_forward: Sequence[float], stream: Sequence[float]) -> Figure:
    """Two bars a layer for what is added, and the stream's own size as a line."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    layers = range(len(attention))
    axis.bar([layer - 0.19 for layer in layers], attention, width=0.34, color=PALETTE[0])
    axis.bar([layer + 0.19 for layer in layers], feed_forward, width=0.34, color=PALETTE[1])
    axis.plot(range(-1, len(attention)), stream, color=INK, marker="o", markersize=4, linewidth=1.6)
    axis.set(xlabel="layer", ylabel="root mean square", ylim=(0, None))
    axis.set_xticks(range(-1, len(attention)), ["embedding", *map(str, layers)])
    heading(axis, "what each layer adds, and the stream after it")
    figure.draw_without_rendering()
    last = len(attention) - 1 + 0.36
    label_ends(
        axis,
        [
            (last, attention[-1], "attention adds", PALETTE[0]),
            (last, feed_forward[-1], "feed-forward adds", "#A87000"),
            (last, stream[-1], "stream", INK),
        ],
    )
    return figure
