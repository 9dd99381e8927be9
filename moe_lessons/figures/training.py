"""Training curves: loss of one or several runs, floors, and held-out loss by domain."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure


class Curve(NamedTuple):
    """One run: rows of (step, seconds, loss, tokens, learning rate), and what was evaluated when."""

    name: str
    points: Sequence[Sequence[float | None]]
    evaluations: Sequence[Mapping[str, Any]]  # step, seconds, tokens, and values by domain


_COLUMN = {"steps": 0, "seconds": 1, "tokens": 3}
_FIELD = {"steps": "step", "seconds": "seconds", "tokens": "tokens"}


def smooth(losses: np.ndarray) -> np.ndarray:
    """A running mean over about a thirtieth of the run, and less at its start, where the loss falls fast."""
    mean, smoothed = 0.0, np.empty(len(losses))
    for i, loss in enumerate(losses):
        mean += (loss - mean) / max(1.0, min(i / 6, len(losses) / 30))
        smoothed[i] = mean
    return smoothed


def draw_training(
    curves: Sequence[Curve],
    domains: Sequence[str] = (),
    floors: Mapping[str, float] | None = None,
    *,
    x: str = "steps",
    unit: str = "nats per token",
    title: str = "",
) -> Figure:
    """Training loss on top, its floors dashed; below, one panel for each domain with held-out loss and floor.

    Where no run was evaluated more than once, a panel has a bar for each run.
    """
    floors = floors or {}
    seen = {name for curve in curves for one in curve.evaluations for name in one["values"]}
    names = [*domains, *sorted(seen - set(domains))]
    names = [name for name in names if name in seen or name in floors]
    rows = -(-len(names) // 4)
    heights = [2.6] + [1.35] * rows
    figure = new_figure(WIDEST, sum(heights))
    if rows:
        parts = figure.subfigures(2, 1, height_ratios=[heights[0], sum(heights[1:])], squeeze=False)
        above, bottom = parts[:, 0]
        top = clean(above.subplots())
        panels = bottom.subplots(rows, min(4, len(names)), sharex=True, squeeze=False).flat
    else:
        top, panels = clean(figure.subplots()), []
    ends = _draw_loss(top, curves, floors, x, unit, title)
    once = max((len(curve.evaluations) for curve in curves), default=0) == 1
    for axis, name in zip(panels, [*names, *[None] * 4], strict=False):
        if name is None:
            axis.axis("off")
        elif once:
            _draw_bars(clean(axis), curves, name, floors.get(name))
        else:
            _draw_domain(clean(axis), curves, name, floors.get(name), x)
    figure.draw_without_rendering()  # how far apart names must be is known when the panels have their sizes
    label_ends(top, ends)
    return figure


def _draw_loss(
    axis: Axes, curves: Sequence[Curve], floors: Mapping[str, float], x: str, unit: str, title: str
) -> list[tuple[float, float, str, str]]:
    """The curves and the floors; returns the names that belong to their ends."""
    ends = []
    for number, curve in enumerate(curves):
        rows = np.array([row for row in curve.points if row[2] is not None], dtype=float)
        if not len(rows):
            continue
        color, places = PALETTE[number % len(PALETTE)], rows[:, _COLUMN[x]]
        smoothed = smooth(rows[:, 2])
        axis.plot(places, rows[:, 2], color=color, alpha=0.22, linewidth=0.7)
        axis.plot(places, smoothed, color=color, linewidth=1.8)
        ends.append((smoothed[-1], f"{curve.name} {smoothed[-1]:.2f}".strip(), color))
    for floor in floors.values():
        axis.axhline(floor, color=MUTED, linewidth=0.8, dashes=(4, 3))
    axis.set_ylim(bottom=0)
    right = max((curve.points[-1][_COLUMN[x]] or 0 for curve in curves if curve.points), default=1)
    axis.set_xlim(0, right)
    ends += [(height, words, MUTED) for height, words in _named(floors, 0.08 * axis.get_ylim()[1])]
    if not ends:
        axis.text(0.5, 0.5, "no steps yet", transform=axis.transAxes, ha="center", color=MUTED)
    axis.set(xlabel=x, ylabel=unit)
    axis.xaxis.set_major_formatter(_short)
    heading(axis, title or "training loss")
    return [(right, height, words, color) for height, words, color in ends]


def _named(floors: Mapping[str, float], apart: float) -> list[tuple[float, str]]:
    """A name for each floor; floors too near to each other for a name each share one."""
    groups: list[list[tuple[float, str]]] = []
    for name, floor in sorted(floors.items(), key=lambda item: item[1]):
        if groups and floor - groups[-1][0][0] < apart:
            groups[-1].append((floor, name.replace("_", " ")))
        else:
            groups.append([(floor, name.replace("_", " "))])
    named = []
    for group in groups:
        middle = (group[0][0] + group[-1][0]) / 2
        words = ", ".join(name for _, name in reversed(group)) + (" floors" if len(group) > 1 else " floor")
        named.append((middle, "\n".join(textwrap.wrap(words, 18))))
    return named


def _short(value: float, _: object = None) -> str:
    """An axis's number: 150000 is 150k."""
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _draw_domain(axis: Axes, curves: Sequence[Curve], name: str, floor: float | None, x: str) -> None:
    lowest = None
    for number, curve in enumerate(curves):
        found = [one for one in curve.evaluations if one["values"].get(name) is not None]
        places, values = [one[_FIELD[x]] for one in found], [one["values"][name] for one in found]
        axis.plot(
            places, values, color=PALETTE[number % len(PALETTE)], linewidth=1.4, marker="o", markersize=2.5,
            label=curve.name or None,
        )  # fmt: skip
        if values:
            lowest = values[-1] if lowest is None else min(lowest, values[-1])
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.xaxis.set_major_formatter(_short)
    _finish(axis, name, lowest, floor)


def _draw_bars(axis: Axes, curves: Sequence[Curve], name: str, floor: float | None) -> None:
    values = [next((one["values"].get(name) for one in curve.evaluations), None) for curve in curves]
    heights = [value for value in values if value is not None]
    for place, (curve, value) in enumerate(zip(curves, values, strict=True)):
        if value is not None:  # whose bar it is, the colors of the curves above say
            axis.bar(place, value, color=PALETTE[place % len(PALETTE)], width=0.7, label=curve.name or None)
    axis.set(xlim=(-0.8, len(curves) - 0.2), xticks=[])
    _finish(axis, name, min(heights, default=None), floor)


def _finish(axis: Axes, name: str, lowest: float | None, floor: float | None) -> None:
    if floor is not None:
        axis.axhline(floor, color=MUTED, linewidth=0.8, dashes=(4, 3))
    axis.set_ylim(0, 1.06 * axis.get_ylim()[1])
    axis.tick_params(labelsize=7)
    words = "" if lowest is None else f" {lowest:.2f}"
    note = "" if floor is None else f"  floor {floor:.2f}"
    axis.set_title(f"{name.replace('_', ' ')}{words}", loc="left", fontsize=8.5, color=INK)
    axis.set_title(note, loc="right", fontsize=7, color=MUTED)
