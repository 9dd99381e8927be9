"""What tokens cost: token by token, beside the floor, and as curves over anything."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure, printable


def draw_costs(
    pieces: Sequence[str], costs: Sequence[float], groups: Sequence[str], title: str, ylabel: str = "nats"
) -> Figure:
    """One bar a token, colored by the group that it belongs to; a group's name stands above its first bar."""
    figure = new_figure(WIDEST, 2.6)
    axis = clean(figure.subplots())
    names = list(dict.fromkeys(groups))
    colors = [PALETTE[names.index(group)] for group in groups]
    axis.bar(range(len(pieces)), costs, color=colors, width=0.8)
    axis.set_xticks(range(len(pieces)), [printable(piece) for piece in pieces])
    axis.tick_params(axis="x", labelsize=9, labelcolor=INK, labelfontfamily="DejaVu Sans Mono")
    top = max(costs) * 1.18 or 1.0
    axis.set(ylim=(0, top), ylabel=ylabel)
    for name, color in zip(names, PALETTE, strict=False):
        axis.text(groups.index(name) - 0.4, top, name, color=color, fontsize=8.5, va="top")
    heading(axis, title)
    return figure


def draw_above_floor(losses: Mapping[str, float], floors: Mapping[str, float | None], unit: str, title: str) -> Figure:
    """Loss by domain as bars: gray up to the exact floor, colored above it, outlined where no floor is known."""
    figure = new_figure(WIDEST, 0.34 * len(losses) + 0.75)
    axis = clean(figure.subplots(), grid="x")
    for row, (name, loss) in enumerate(losses.items()):
        floor = floors.get(name)
        if floor is None:
            axis.barh(row, loss, height=0.62, fill=False, edgecolor=MUTED, linewidth=0.9)
            note = "floor unknown"
        else:
            axis.barh(row, floor, height=0.62, color="#C9C9C9")
            axis.barh(row, loss - floor, left=floor, height=0.62, color=PALETTE[3])
            note = f"floor {floor:.2f}, {loss / floor - 1:.0%} above"
        axis.text(loss, row, f" {loss:.2f}  ({note})", va="center", fontsize=8.5, color=INK)
    axis.set_yticks(range(len(losses)), [name.replace("_", " ") for name in losses])
    axis.tick_params(axis="y", labelcolor=INK, labelsize=9)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.42 * max(losses.values())), xlabel=unit)
    heading(axis, title)
    return figure


def draw_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    level: tuple[float, str] | None = None,
    log_x: bool = False,
    from_zero: bool = True,
) -> Figure:
    """Named lines (x, y), labeled at their ends; points are marked where few, `level` is a dashed line and its name."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    ends = []
    for number, (name, (x, y)) in enumerate(curves.items()):
        color = PALETTE[number % len(PALETTE)]
        axis.plot(x, y, color=color, linewidth=1.8, marker="o" if len(x) < 30 else None, markersize=3.5)
        ends.append((x[-1], y[-1], name, color))
    if log_x:
        axis.set_xscale("log")
        places = sorted({float(place) for x, _ in curves.values() for place in x})
        if len(places) < 10 and places[-1] < 10_000:  # few and short: their own numbers rather than powers of ten
            axis.set_xticks(places, [f"{place:g}" for place in places])
            axis.minorticks_off()
    if from_zero:
        axis.set_ylim(bottom=0)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if level is not None:
        axis.axhline(level[0], color=MUTED, linewidth=0.8, dashes=(4, 3))
        ends.append((axis.get_xlim()[1], level[0], level[1], MUTED))
    right = axis.get_xlim()[1]
    label_ends(axis, [(right, y, name, color) for _, y, name, color in ends])
    heading(axis, title)
    return figure


def draw_groups(
    values: Mapping[str, Mapping[str, float]],
    title: str,
    ylabel: str,
    level: tuple[float, str] | None = None,
    show: str = "{:.1f}",
) -> Figure:
    """Bars in groups: one group for each key, one color for each inner key, its number on top, as `show` writes it."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    inner = list(dict.fromkeys(name for group in values.values() for name in group))
    width = 0.8 / len(inner)
    for number, name in enumerate(inner):
        places = [i for i, group in enumerate(values.values()) if name in group]
        heights = [group[name] for group in values.values() if name in group]
        x = np.array(places) + (number - (len(inner) - 1) / 2) * width
        axis.bar(x, heights, width=0.92 * width, color=PALETTE[number], label=name)
        for at, height in zip(x, heights, strict=True):
            axis.text(at, height, show.format(height), ha="center", va="bottom", fontsize=8, color=MUTED)
    if level is not None:
        axis.axhline(level[0], color=MUTED, linewidth=0.8, dashes=(4, 3))
        axis.annotate(
            level[1], (1, level[0]), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
            color=MUTED, fontsize=8.5, va="center", annotation_clip=False,
        )  # fmt: skip
    axis.set_xticks(range(len(values)), list(values))
    axis.tick_params(axis="x", labelcolor=INK, labelsize=9)
    axis.set(ylabel=ylabel, ylim=(0, 1.3 * max(max(group.values()) for group in values.values())))
    axis.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left", ncols=len(inner))  # above all bars
    heading(axis, title)
    return figure
