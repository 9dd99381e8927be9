"""Lesson 03's pictures: the plan of a dense transformer, what its layers add, and how SwiGLU's gate opens."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from moe_lessons.figures.contrast import SHEET, readable
from moe_lessons.figures.style import (
    INK,
    MUTED,
    PALETTE,
    RULE,
    WIDEST,
    clean,
    heading,
    name_ends,
    new_figure,
    printable,
)


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
    last = len(attention) - 1 + 0.36
    name_ends(
        axis,
        "what each layer adds, and the stream after it",
        [
            (last, attention[-1], "attention adds", PALETTE[0]),
            (last, feed_forward[-1], "feed-forward adds", "#A87000"),
            (last, stream[-1], "stream", INK),
        ],
    )
    return figure


def draw_gate(pieces: Sequence[str], gates: Float[np.ndarray, "tokens hidden"]) -> Figure:
    """Left: silu against relu. Right: silu of each token's gate products, one column for each hidden unit."""
    figure = new_figure(WIDEST, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.7])
    clean(left)
    z = np.linspace(-5, 4, 200)
    left.plot(z, np.maximum(z, 0), color=MUTED, linewidth=1.4, linestyle="--")
    left.plot(z, z / (1 + np.exp(-z)), color=PALETTE[1], linewidth=2.2)
    left.text(1.9, 3.1, "relu", color=MUTED, fontsize=8.5, ha="right")
    left.text(2.6, 1.6, "silu", color=readable(PALETTE[3]), fontsize=8.5)
    left.text(-5, 0.95, "shut", color=INK, fontsize=8.5)
    left.text(-0.6, 3.7, "open", color=INK, fontsize=8.5, ha="right")
    left.set(xlabel="gate(x), one unit", xticks=[-4, -2, 0, 2, 4], ylim=(-0.6, 4.2))
    heading(left, "how far a unit is open")
    clean(right, grid="")
    # silu is never below -0.28: a shut unit still passes a little, with the other sign.
    shades = LinearSegmentedColormap.from_list(
        "gate", [(0, PALETTE[0]), (0.5, SHEET), (0.75, PALETTE[1]), (1, PALETTE[3])]
    )
    low, top = min(float(gates.min()), -1e-6), max(float(gates.max()), 1e-6)
    image = right.imshow(gates, cmap=shades, norm=TwoSlopeNorm(0, low, top), aspect="auto", interpolation="nearest")
    right.set_yticks(range(len(pieces)), [printable(piece) for piece in pieces])
    right.tick_params(axis="y", labelcolor=INK, labelsize=7.5)
    right.set(xlabel="hidden unit")
    heading(right, "silu(gate(x)) for each token: blue below 0")
    bar = figure.colorbar(image, ax=right, shrink=0.8, ticks=[low, 0, top], format="%.2f")
    bar.ax.tick_params(labelsize=7.5, labelcolor=MUTED, length=0)
    bar.outline.set_visible(False)
    return figure
