"""Where parameters and FLOPs go: one bar each, split by part, and the same layer by layer."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from moe_lessons.figures.colors import PARTS
from moe_lessons.figures.numbers import brief
from moe_lessons.figures.style import INK, MUTED, WIDEST, clean, heading, new_figure


class Slice(NamedTuple):
    """One part of one layer of a model."""

    layer: int | None  # None: before or after the layers
    name: str
    parameters: int
    active: int  # of them, at work on one token
    flops: int  # forward, per token


def draw_budget(slices: Sequence[Slice], n_layers: int, title: str = "") -> Figure:
    """Left: shares of parameters and FLOPs by part. Right: parameters in each layer, the idle ones pale."""
    figure = new_figure(WIDEST, 3.3)
    names = [name for name in PARTS if any(part.name == name for part in slices)]
    parameters = {name: sum(part.parameters for part in slices if part.name == name) for name in names}
    flops = {name: sum(part.flops for part in slices if part.name == name) for name in names}
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    clean(left, grid="")
    totals = sum(parameters.values()), sum(flops.values())
    for place, name in enumerate(names):
        color = PARTS[name][0]
        sides = ((-0.2, parameters[name], totals[0], "kMBT"), (0.2, flops[name], totals[1], "kMGT"))
        for offset, count, total, units in sides:
            left.barh(place + offset, count / total, height=0.36, color=color, alpha=1 if offset < 0 else 0.55)
            words = f"{brief(count, units)}   {count / total:.1%}" if count else "0"
            left.text(count / total + 0.01, place + offset, words, va="center", fontsize=7, color=MUTED)
    left.set_yticks(range(len(names)), [PARTS[name][1] for name in names])
    left.tick_params(axis="y", labelcolor=INK)
    left.set(xlim=(0, 1.28), ylim=(len(names) - 0.4, -0.6), xticks=[])
    left.spines["bottom"].set_visible(False)
    left.set_title(
        f"{brief(totals[0])} parameters (full color)\n{brief(totals[1], 'kMGT')} FLOPs per token (pale)",
        loc="left",
        fontsize=8.5,
        color=MUTED,
    )
    _draw_layers(clean(right), slices, n_layers)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    told = [f"{PARTS[name][1]} {brief(parameters[name])} and {flops[name] / totals[1]:.0%}" for name in names]
    figure.alt = f"{title or 'Budget'}. {brief(totals[0])} parameters, {brief(totals[1], 'kMGT')} FLOPs per token. "
    figure.alt += f"Parameters and share of the FLOPs by part: {', '.join(told)}."
    return figure


def _draw_layers(axis, slices: Sequence[Slice], n_layers: int) -> None:
    bottoms: dict[int, float] = {}
    after = False
    for part in slices:
        if part.layer is not None:
            column, after = part.layer, True
        else:
            column = n_layers if after else -1
        for count, alpha in ((part.active, 1.0), (part.parameters - part.active, 0.3)):
            axis.bar(column, count, bottom=bottoms.get(column, 0), color=PARTS[part.name][0], alpha=alpha, width=0.86)
            bottoms[column] = bottoms.get(column, 0) + count
    every = max(1, n_layers // 8)
    # A number beside "in" or "out" needs room for both.
    layers = [layer for layer in range(0, n_layers, every) if n_layers <= 12 or 0 < layer <= n_layers - 0.7 * every]
    axis.set_xticks([-1, *layers, n_layers], ["in", *layers, "out"])
    axis.yaxis.set_major_formatter(lambda value, _: brief(value))
    axis.set_xlabel("layer")
    heading(axis, "parameters by layer")
    axis.title.set(size=8.5, color=MUTED)
