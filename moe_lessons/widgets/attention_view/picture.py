"""Attention weights: all heads of a layer side by side, one of them large, one query's weights over the text."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure, printable


def draw_attention(
    pieces: Sequence[str], attention: np.ndarray, layer: int = 0, head: int = 0, query: int | None = None
) -> Figure:
    """Weights `[layers, heads, time, time]`, rows are queries; keys after the query are left white."""
    n_heads, time = int(attention.shape[1]), int(attention.shape[2])
    query = time - 1 if query is None else query
    columns = int(np.ceil(np.sqrt(n_heads)))
    rows = -(-n_heads // columns)
    figure = new_figure(WIDEST, 3.1 + 1.15)
    top, bottom = figure.subfigures(2, 1, height_ratios=[3.1, 1.15], squeeze=False)[:, 0]
    left, right = top.subfigures(1, 2, width_ratios=[1, 1])
    for number, axis in enumerate(left.subplots(rows, columns, squeeze=False).flat):
        axis.axis("off")
        if number < n_heads:
            _draw_head(axis, attention[layer, number], PALETTE[number % len(PALETTE)])
            weight = {"fontweight": "bold"} if number == head else {}
            axis.set_title(f"head {number}", fontsize=8, color=INK if number == head else MUTED, pad=3, **weight)
    axis = clean(right.subplots(), grid="")
    color = PALETTE[head % len(PALETTE)]
    _draw_head(axis, attention[layer, head], color)
    axis.add_patch(_outline(query))
    axis.set(xlabel="key", ylabel="query")
    heading(axis, f"layer {layer}, head {head}")
    _draw_query(clean(bottom.subplots()), pieces, attention[layer, head, query], query, color)
    return figure


def _draw_head(axis, weights: np.ndarray, color: str) -> None:
    hidden = np.triu(np.ones(weights.shape, dtype=bool), k=1)
    shades = LinearSegmentedColormap.from_list("weight", ["#F1F1F1", color])
    # The square root keeps small weights in sight.
    axis.imshow(np.ma.array(np.sqrt(weights), mask=hidden), cmap=shades, vmin=0, vmax=1, interpolation="nearest")


def _outline(query: int) -> Rectangle:
    return Rectangle((-0.5, query - 0.5), query + 1, 1, fill=False, edgecolor=INK, linewidth=1)


def _draw_query(axis, pieces: Sequence[str], weights: np.ndarray, query: int, color: str) -> None:
    first = max(0, query - 39)  # more names than 40 cannot be read
    keys = np.arange(first, query + 1)
    axis.bar(keys, weights[keys], color=color, width=0.82)
    axis.set_xticks(
        keys, [printable(piece) for piece in pieces[first : query + 1]], rotation=90 if len(keys) > 14 else 0, size=7.5
    )
    axis.get_xticklabels()[-1].set(color=INK, fontweight="bold")
    axis.set_xlim(first - 0.6, max(query, first + 7) + 0.6)
    axis.tick_params(axis="x", labelcolor=INK)
    axis.spines["bottom"].set_color(RULE)
    axis.set_title(f"what “{printable(pieces[query])}” looks at", loc="left", fontsize=8.5, color=MUTED)
