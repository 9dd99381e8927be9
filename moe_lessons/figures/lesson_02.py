"""Lesson 02's pictures: the steps of attention: arrows, weights, the scale, the mask, turns by position, the cache."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import PercentFormatter

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
    plot_named,
)

_BLUE, _ORANGE, _GREEN, _RED = PALETTE[:4]


def draw_query(names: Sequence[str], keys: np.ndarray, query: np.ndarray, weights: np.ndarray) -> Figure:
    """Keys `[n, 2]` and a query `[2]` as arrows; the weights `[n]` that come of them, beside equal ones."""
    figure = new_figure(WIDEST, 2.9)
    plane, bars = figure.subplots(1, 2, width_ratios=[1, 1.15])
    clean(plane, grid="both")
    for name, key in zip(names, keys, strict=True):
        _arrow(plane, key, _BLUE, name)
    _arrow(plane, query, _RED, "query")
    reach = 1.25 * np.abs(np.vstack([keys, query])).max()
    low = min(-0.3 * reach, 1.5 * min(keys.min(), query.min()))
    plane.set(xlim=(low, 1.1 * reach), ylim=(low, 1.1 * reach), aspect="equal")
    plane.set_xticks([0], [""])
    plane.set_yticks([0], [""])
    heading(plane, "keys, and one query")
    clean(bars, grid="x")
    rows = np.arange(len(names))
    bars.barh(rows, weights, color=_BLUE, height=0.62)
    bars.axvline(1 / len(names), color=MUTED, linewidth=1, linestyle="--")
    bars.text(1 / len(names), len(names) - 0.35, " plain average", fontsize=8, color=MUTED, va="center")
    for row, weight in zip(rows, weights, strict=True):
        bars.text(weight, row, f" {weight:.0%}", va="center", fontsize=8, color=INK)
    bars.set_yticks(rows, names)
    bars.tick_params(axis="y", labelcolor=INK)
    bars.set(ylim=(len(names) - 0.1, -0.6), xlim=(0, 1.15 * max(weights)))
    bars.xaxis.set_major_formatter(PercentFormatter(1, 0))
    heading(bars, "share of each in the average")
    return figure


def _arrow(axis, tip: np.ndarray, color: str, name: str) -> None:
    style = {"arrowstyle": "-|>", "color": color, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", tip, (0, 0), arrowprops=style)
    away = tip / max(np.hypot(*tip), 1e-9)
    align = {"ha": "left" if away[0] > 0.3 else "right" if away[0] < -0.3 else "center", "va": "center"}
    axis.annotate(name, tip, away * 7, textcoords="offset points", fontsize=8.5, color=color, **align)


def draw_saturation(dims: Sequence[int], largest: Mapping[str, Sequence[float]], keys: int) -> Figure:
    """The largest of a softmax's weights against head_dim, one line for each way to scale the scores."""
    figure = new_figure(5.6, 2.6)
    axis = clean(figure.subplots())
    axis.set_xscale("log", base=2)
    axis.set(ylim=(0, 1.03), xlabel="head_dim", xlim=(dims[0], dims[-1]))
    axis.set_xticks(dims, [str(dim) for dim in dims])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
    curves = {name: (dims, values) for name, values in largest.items()}
    ends = plot_named(axis, curves, (_RED, _BLUE, _GREEN), dots=np.inf, linewidth=2, markersize=4)
    axis.axhline(1 / keys, color=MUTED, linewidth=1, linestyle="--")
    ends.append((dims[-1], 1 / keys, f"equal weights (1/{keys})", MUTED))
    figure.set_layout_engine("constrained", rect=(0, 0, 0.74, 1))
    name_ends(axis, f"the largest of {keys} weights, on average", ends)
    return figure


def draw_influence(changes: Mapping[str, np.ndarray], changed: int) -> Figure:
    """How much each position's output moved `[time]` when the token at `changed` was replaced, one row a model."""
    figure = new_figure(WIDEST, 1.35 * len(changes) + 0.4)
    axes = figure.subplots(len(changes), 1, sharex=True, squeeze=False)[:, 0]
    highest = max(change.max() for change in changes.values())
    for axis, (title, change) in zip(axes, changes.items(), strict=True):
        clean(axis)
        positions = np.arange(len(change))
        colors = [MUTED if at < changed else _ORANGE for at in positions]
        axis.bar(positions, change, color=colors, width=0.85)
        axis.axvline(changed - 0.5, color=INK, linewidth=1)
        # A logarithm, so that small effects show; what did not move at all has no bar.
        axis.set(xlim=(-0.6, len(change) - 0.4), yscale="log", ylim=(1e-3, 3 * highest))
        axis.minorticks_off()
        heading(axis, title)
    axes[-1].set_xlabel("position")
    axes[0].text(changed + 0.2, 1.5 * highest, " changed here", fontsize=8, color=INK, va="center")
    return figure


def draw_turns(vectors: Mapping[str, np.ndarray]) -> Figure:
    """Where the same pair `[positions, 2]` points at positions 0, 1, 2, ...: one dial a pair, darker is later."""
    figure = new_figure(WIDEST, 2.1)
    axes = figure.subplots(1, len(vectors), squeeze=False)[0]
    for axis, (title, tips) in zip(axes, vectors.items(), strict=True):
        axis.axis("off")
        axis.add_patch(Circle((0, 0), 1, fill=False, edgecolor=RULE))
        for position, tip in enumerate(tips):
            strength = 0.25 + 0.75 * position / max(len(tips) - 1, 1)
            style = {"arrowstyle": "-|>", "color": _BLUE, "alpha": strength, "shrinkA": 0, "shrinkB": 0}
            axis.annotate("", tip, (0, 0), arrowprops=style)
        last = len(tips) - 1
        apart = np.hypot(*(tips[last] - tips[0])) > 0.3
        for position, name in ((0, "0"), (last, str(last))) if apart else ((0, f"0–{last}"),):
            axis.text(*(1.2 * tips[position]), name, fontsize=8, color=INK, ha="center", va="center")
        axis.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal")
        axis.set_title(title, fontsize=9, color=INK)
    angles = {title: np.degrees(np.unwrap(np.arctan2(tips[:, 1], tips[:, 0]))) for title, tips in vectors.items()}
    told = [f"{title}, by {abs(turned[-1] - turned[0]):.0f} degrees" for title, turned in angles.items()]
    figure.alt = f"Dials: where one pair of numbers points, position after position. It turns: {'; '.join(told)}."
    return figure


def draw_distance(distances: np.ndarray, scores: Mapping[str, np.ndarray]) -> Figure:
    """The score of one query and one key against their distance, once for each place of the query."""
    figure = new_figure(WIDEST, 2.5)
    axis = clean(figure.subplots())
    styles = zip((7, 3.5, 1.2), ("#BFD9EA", _BLUE, _ORANGE), scores.items(), strict=False)
    for width, color, (name, values) in styles:
        axis.plot(distances, values, color=color, linewidth=width, label=name, solid_capstyle="round")
    axis.legend(frameon=False, fontsize=8.5, loc="upper right")
    axis.set(xlabel="distance from query to key", xlim=(distances[0], distances[-1]))
    heading(axis, "score of the same query and key")
    return figure


def draw_cache(sizes: Mapping[str, float], unit: str, title: str) -> Figure:
    """Memory as bars, the first one for comparison."""
    figure = new_figure(WIDEST, 0.36 * len(sizes) + 0.75)
    axis = clean(figure.subplots(), grid="x")
    rows = np.arange(len(sizes))
    values = np.array(list(sizes.values()))
    axis.barh(rows, values, color=[_BLUE, *[_ORANGE] * (len(sizes) - 1)], height=0.62)
    for row, value in enumerate(values):
        axis.text(value, row, f" {value:,.0f}", va="center", fontsize=8.5, color=INK)
    axis.set_yticks(rows, list(sizes))
    axis.tick_params(axis="y", labelcolor=INK)
    axis.set(ylim=(len(sizes) - 0.5, -0.5), xlim=(0, 1.14 * values.max()), xlabel=unit)
    heading(axis, title)
    return figure


def draw_habits(
    x: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray], xlabel: str, ylabel: str, named: str
) -> Figure:
    """Heads as points, `x` and `y` each `[layers, heads]` by model; those of the model `named` bear layer.head."""
    figure = new_figure(WIDEST, 3.4)
    axis = clean(figure.subplots(), grid="both")
    for name, color in zip(x, (MUTED, _BLUE), strict=False):
        axis.scatter(x[name], y[name], color=color, s=42, alpha=0.85, label=name, linewidth=0)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.set_ylim(bottom=0)
    axis.set_xlim(left=min(-0.01, axis.get_xlim()[0]))
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter(PercentFormatter(1, 0))
    axis.set_xticks(np.arange(0, axis.get_xlim()[1], 0.05 if axis.get_xlim()[1] < 0.4 else 0.1))
    axis.legend(frameon=False, fontsize=8.5, loc="upper right")
    figure.draw_without_rendering()
    heads = np.ndenumerate(x[named])
    _name_points(axis, {f"{at[0]}.{at[1]}": (float(across), float(y[named][at])) for at, across in heads})
    return figure


def _name_points(axis, points: Mapping[str, tuple[float, float]]) -> None:
    """Write each name beside its point, on the first side where it covers no other point and no other name."""
    per_point = axis.figure.dpi / 72
    taken = [np.array(place) / per_point for place in axis.transData.transform(list(points.values()))]
    for name, place in points.items():
        at = axis.transData.transform(place) / per_point
        sides = [(12, 5), (-12, 5), (12, -6), (-12, -6), (0, 10), (0, -11)]  # from the point to the name's middle
        free = [s for s in sides if all((abs(at + s - other) > (13, 9)).any() for other in taken if any(other != at))]
        side = (free or sides)[0]
        taken.append(at + side)
        axis.annotate(name, place, side, textcoords="offset points", fontsize=8, color=INK, ha="center", va="center")
