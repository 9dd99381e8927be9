"""Lesson 10's pictures: what a token leaves behind, what is multiplied with what first, and which form costs more."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, name_ends, new_figure

_QUERY, _KEY, _VALUE, _LATENT, _MADE = (PALETTE[i] for i in (7, 0, 1, 2, 3))


def draw_kept(kinds: Mapping[str, int | tuple[float, float]], n_heads: int, title: str) -> Figure:
    """For each kind of attention, its query heads and below them, to scale, what is kept of a token in a layer.

    A kind is a number of key-value heads, or the widths of a latent and of its turned key; one head is 1 wide.
    """
    figure = new_figure(WIDEST, 0.5 + 0.98 * len(kinds))
    axis = figure.subplots()
    axis.set(xlim=(-3.4, 2 * n_heads + 0.3), ylim=(len(kinds) * 2 - 0.35, -0.6))
    axis.axis("off")
    widths = []
    for row, (name, kind) in enumerate(kinds.items()):
        y = 2 * row
        axis.text(-3.3, y + 0.5, name, fontsize=9, color=INK, va="center")
        if isinstance(kind, tuple):
            n_kv_heads, boxes = None, [(kind[0], _LATENT, "latent"), (kind[1], _KEY, "")]
        else:
            n_kv_heads = kind
            boxes = [(1, color, word) for _ in range(n_kv_heads) for color, word in ((_KEY, "K"), (_VALUE, "V"))]
        edges = np.cumsum([0, *(width for width, _, _ in boxes)])
        edges = edges + n_heads - edges[-1] / 2  # in the middle, below the heads
        for (width, color, word), x in zip(boxes, edges, strict=False):
            axis.add_patch(Rectangle((x + 0.03, y + 0.8), width - 0.06, 0.55, fc=color, lw=0))
            axis.text(x + width / 2, y + 1.08, word, fontsize=7.5, color="white", ha="center", va="center")
        for head in range(n_heads):
            middle = 2 * head + 1
            axis.add_patch(Rectangle((middle - 0.5, y - 0.25), 1, 0.4, fc=_QUERY, alpha=0.75, lw=0))
            axis.text(middle, y - 0.05, "q", fontsize=7.5, color="white", ha="center", va="center")
            target = n_heads if n_kv_heads is None else edges[0] + 2 * (head * n_kv_heads // n_heads) + 1
            axis.plot([middle, target], [y + 0.17, y + 0.78], color=MUTED, linewidth=0.8)
        widths.append(f"{name} {edges[-1] - edges[0]:g}")
        axis.text(edges[-1] + 0.2, y + 1.08, f"{edges[-1] - edges[0]:g}", fontsize=8.5, color=INK, va="center")
    heading(axis, title)
    told = ", ".join(widths)
    figure.alt = f"{title}. Below {n_heads} query heads, what is kept of a token, in widths of a head: {told}."
    return figure


def draw_orders(n_heads: int, nope: int, latent: int, time: int) -> Figure:
    """q (K C) above and (q K) C below, for one new query in all heads, every matrix to scale.

    Left, the factors, those in brackets first; right, what is made of these two before the third one comes.
    """
    figure = new_figure(WIDEST, 4.2)
    keys = n_heads * nope
    factors = [
        ("q", nope, n_heads, _QUERY),
        ("K, of all heads", latent, keys, _KEY),
        ("C, the cache", time, latent, _LATENT),
    ]
    orders = {
        "unpacked": ((1, 2), ("the keys of all heads and tokens", time, keys), keys * latent * time + keys * time),
        "absorbed": ((0, 1), ("one query a head", latent, n_heads), keys * latent + n_heads * latent * time),
    }
    gap = 0.3 * latent
    for axis, (order, (first, made, products)) in zip(figure.subplots(2, 1), orders.items(), strict=True):
        x = gap
        for place, (name, width, height, color) in enumerate(factors):
            if place == first[0]:
                _write(axis, x - 0.5 * gap, "(", size=22)
            _matrix(axis, x, width, height, color, name)
            x += width + gap
            if place == first[1]:
                _write(axis, x - 0.5 * gap, ")", size=22)
        _write(axis, x + 0.75 * gap, "makes", size=8)
        _matrix(axis, x + 1.9 * gap, made[1], made[2], _MADE, made[0])
        axis.set(xlim=(0, x + 2.2 * gap + max(time, latent)), ylim=(-0.68 * keys, 0.56 * keys))
        axis.axis("off")
        axis.set_aspect("equal")
        heading(axis, f"{order}: {products:,} products in all")
    return figure


def _matrix(axis: Axes, x: float, width: float, height: float, color: str, name: str) -> None:
    axis.add_patch(Rectangle((x, -height / 2), width, height, fc=color, lw=0))
    axis.annotate(
        name, (x + width / 2, -height / 2), (0, -3), textcoords="offset points", fontsize=8, color=INK, ha="center",
        va="top",
    )  # fmt: skip


def _write(axis: Axes, x: float, text: str, size: float) -> None:
    axis.text(x, 0, text, fontsize=size, color=MUTED, ha="center", va="center")


def draw_folds(distances: Sequence[int], scores: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Scores of one query and one latent by distance, for each way to compute them; the first one is right."""
    figure = new_figure(WIDEST, 2.6)
    axis = clean(figure.subplots())
    ends = []
    for (name, values), color, width in zip(scores.items(), (_KEY, _MADE, _LATENT), (2.6, 1.5, 1.5), strict=False):
        axis.plot(distances, values, color=color, linewidth=width)
        ends.append((distances[-1], values[-1], name, color))
    axis.set(xlim=(distances[0], distances[-1]), xlabel="tokens between query and key", ylabel="score")
    name_ends(axis, title, ends)
    return figure


def draw_crossing(
    new: Sequence[int], ratios: Mapping[str, tuple[Sequence[int], Sequence[float]]], title: str, ylabel: str
) -> Figure:
    """Ratios of two forms by the number of new tokens, both in powers of two; above 1 the second form is better.

    A curve with fewer places than `new` was measured: it has dots, and its name at its own end.
    """
    figure = new_figure(WIDEST, 3.0)
    axis = clean(figure.subplots())
    axis.axhline(1, color=INK, linewidth=0.9)
    ends = []
    for (name, (xs, ys)), color in zip(ratios.items(), (_KEY, _MADE, _LATENT, _VALUE), strict=False):
        counted = len(xs) == len(new)
        axis.plot(xs, ys, color=color, linewidth=1.8, marker="" if counted else "o", markersize=4.5)
        if counted:
            ends.append((new[-1], ys[-1], name, color))
        else:
            axis.annotate(name, (xs[-1], ys[-1]), (6, 0), textcoords="offset points", fontsize=8.5, color=color)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xticks(new, [f"{value:,}" for value in new])
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    axis.minorticks_off()
    axis.set(xlim=(new[0], new[-1]), xlabel="new tokens read at once", ylabel=ylabel)
    name_ends(axis, title, ends)
    return figure
