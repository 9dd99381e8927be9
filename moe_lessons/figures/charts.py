"""Charts that several lessons draw: curves, bars, dots and a table of colors."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.style import (
    INK,
    MUTED,
    PALETTE,
    RULE,
    WIDEST,
    clean,
    heading,
    label_ends,
    name_ends,
    new_figure,
    plot_named,
)

_LEGEND_ROW = 110  # letters of a legend's row, with the room that each color takes
# Blue where the loss falls, white where nothing changes, vermilion where it rises.
_CHANGE = LinearSegmentedColormap.from_list("change", ["#0072B2", "#FFFFFF", "#D55E00"])


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
    ends = plot_named(axis, curves, itertools.cycle(PALETTE), dots=30, linewidth=1.8, markersize=3.5)
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


def draw_by_group(
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


def draw_sweep(
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    title: str,
    xlabel: str,
    ylabel: str = "",
    *,
    log: bool = False,
    level: tuple[float, str] | None = None,
    colors: Sequence[str] = PALETTE,
) -> Figure:
    """Named curves over one axis, by powers of two where `log`; `level` is a dashed height with its name."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    if log:
        axis.set_xscale("log", base=2)
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.minorticks_off()
    ends = []
    if level is not None:
        axis.axhline(level[0], color=MUTED, linewidth=1.1, linestyle=(0, (3, 2)))
        ends.append((x[-1], level[0], level[1], MUTED))
    named = {name: (x, values) for name, values in curves.items()}
    ends += plot_named(axis, named, colors, dots=math.inf, linewidth=2, markersize=3.5)
    axis.set(xlim=(x[0], x[-1]), xlabel=xlabel, ylabel=ylabel)
    low, high = axis.get_ylim()
    axis.set_ylim(min(0, low) if low < 0.5 * high else low, high)
    name_ends(axis, title, ends)
    return figure


def draw_ratios(seconds: Mapping[str, tuple[float, float, float]], base: str, title: str) -> Figure:
    """Median times as multiples of the median of `base`, with the middle half of all calls as a whisker."""
    unit = seconds[base][0]
    names = [name for name in seconds if name != base]
    figure = new_figure(WIDEST, 0.75 + 0.3 * len(names))
    axis = clean(figure.subplots(), grid="x")
    for row, name in enumerate(names):
        median, low, high = (value / unit for value in seconds[name])
        axis.barh(row, median, height=0.62, color=PALETTE[0])
        axis.plot([low, high], [row, row], color=INK, linewidth=1.3, solid_capstyle="butt")
        axis.annotate(
            f"{median:.2f}", (high, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK
        )
    axis.axvline(1, color=PALETTE[3], linewidth=1.5)
    axis.annotate(
        base, (1, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
        fontsize=8, color=PALETTE[3],
    )  # fmt: skip
    axis.set_yticks(range(len(names)), names, color=INK, fontsize=8.5)
    axis.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, None))
    axis.set_title(title, loc="left", fontsize=10, color=INK, pad=16)
    told = [f"{name} {seconds[name][0] / unit:.2f}" for name in names]
    figure.alt = f"{title}. Median times as multiples of {base}: {', '.join(told)}."
    return figure


def draw_bars(
    bars: Mapping[str, Mapping[str, float]],
    title: str,
    ylabel: str = "",
    *,
    colors: Sequence[str] = (PALETTE[0], PALETTE[3], "#B0B0B0"),
    percent: bool = False,
    marks: Mapping[str, float] | None = None,
    mark: str = "",
) -> Figure:
    """Groups of bars, one bar a series: `bars[series][group]`; `marks[group]` is a dashed level called `mark`."""
    figure = new_figure(WIDEST, 2.8)
    axis = clean(figure.subplots())
    groups = list(next(iter(bars.values())))
    width = 0.8 / len(bars)
    size = 7 if len(bars) * len(groups) <= 18 else 6  # many bars are narrow, and so are their numbers
    for number, ((series, values), color) in enumerate(zip(bars.items(), colors, strict=False)):
        places = np.arange(len(groups)) + (number - (len(bars) - 1) / 2) * width
        heights = [values[group] for group in groups]
        axis.bar(places, heights, width=width * 0.92, color=color, label=series)
        for place, height in zip(places, heights, strict=True):
            plain = f"{height:.2f}" if abs(height) < 100 else f"{height:,.0f}"
            words = f"{height:.0%}".replace("-0%", "0%") if percent else plain
            over = (0, -8) if words.startswith("-") else (0, 2)  # what reads as zero stands above the axis
            axis.annotate(
                words, (place, height), over, textcoords="offset points", fontsize=size, ha="center", color=MUTED
            )
    for number, group in enumerate(groups):
        if marks and np.isfinite(level := marks.get(group, np.nan)):
            dashes = {"color": INK, "linewidth": 1.1, "linestyle": (0, (3, 2))}
            axis.plot([number - 0.45, number + 0.45], [level, level], label=mark if number == 0 else None, **dashes)
    axis.axhline(0, color=MUTED, linewidth=0.8)
    axis.set_xticks(range(len(groups)), [group.replace("_", " ") for group in groups], fontsize=8, color=INK)
    axis.set(ylabel=ylabel)
    if percent:
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    heading(axis, title)
    if len(bars) > 1 or marks:
        names = [*bars, *([mark] if marks else [])]
        # A legend wider than the card would widen the picture: long names stand in two rows.
        ncols = len(names) if len("".join(names)) + 8 * len(names) <= _LEGEND_ROW else math.ceil(len(names) / 2)
        figure.legend(loc="outside lower center", ncols=ncols, frameon=False, fontsize=8, labelcolor=INK)
    return figure


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
    name_ends(axis, title, ends)
    return figure


def draw_seeds(losses: Mapping[str, Sequence[float]], title: str, xlabel: str) -> Figure:
    """One row for each arm, one dot for each seed, a bar at the mean; a thin line joins the same seed's dots."""
    figure = new_figure(WIDEST, 0.95 + 0.36 * len(losses))
    axis = clean(figure.subplots(), grid="x")
    table = np.array(list(losses.values()))  # arms x seeds
    dot_seeds(axis, table, np.arange(len(table), dtype=float))
    axis.set_yticks(range(len(table)), list(losses), fontsize=8.5, color=INK)
    axis.set(xlabel=xlabel, ylim=(len(table) - 0.5, -0.5))
    heading(axis, title)
    told = [
        f"{name}: mean {row.mean():.4g}, from {row.min():.4g} to {row.max():.4g}"
        for name, row in zip(losses, table, strict=True)
    ]
    figure.alt = f"{title}. {xlabel}, {table.shape[1]} seeds. {'; '.join(told)}."
    return figure


def dot_seeds(
    axis: Axes, table: Float[np.ndarray, "rows samples"], places: Float[np.ndarray, " rows"], bar: float = 0.27
) -> None:
    """A dot for each seed at its arm's place, a bar at the mean, so far up and down; a line joins a seed's dots."""
    for seed in table.T:
        axis.plot(seed, places, color=RULE, linewidth=1, zorder=1)
    for place, values in zip(places, table, strict=True):
        axis.scatter(values, [place] * len(values), s=26, color=PALETTE[0], edgecolor="white", linewidth=0.6, zorder=3)
        axis.plot([values.mean()] * 2, [place - bar, place + bar], color=INK, linewidth=2, zorder=4)


def draw_changes(changes: Mapping[str, Mapping[str, float]], title: str, note: str = "") -> Figure:
    """A table of loss changes, `changes[row][column]`: the number, and a color as deep as it is large."""
    columns = list(next(iter(changes.values())))
    values = np.array([[row[column] for column in columns] for row in changes.values()])
    experts = all(column.isdigit() for column in columns)
    figure = new_figure(WIDEST, 0.75 + 0.29 * len(changes))
    axis = clean(figure.subplots(), grid="")
    axis.spines["bottom"].set_visible(False)
    most = max(float(np.abs(values).max()), 1e-9)
    axis.imshow(values, cmap=_CHANGE, vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
    for (row, column), value in np.ndenumerate(values):
        # A zero says nothing: keep it quiet, so that the eye finds the others.
        ink = MUTED if abs(value) < 0.005 else "white" if value < -0.5 * most else INK
        words = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
        axis.text(column, row, words, ha="center", va="center", fontsize=7 if len(columns) > 8 else 8, color=ink)
    axis.set_xticks(range(len(columns)), [column.replace("_", " ") for column in columns])
    axis.set_yticks(range(len(changes)), [name.replace("_", " ") for name in changes])
    axis.xaxis.tick_top()
    axis.tick_params(labelsize=8, labelcolor=INK)
    if experts:
        for label, color in zip(axis.get_xticklabels(), expert_colors(len(columns)), strict=True):
            label.set(fontweight="bold", bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5, "alpha": 0.45})
    axis.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(changes) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="minor", length=0)
    heading(axis, title)
    if note:
        axis.set_xlabel(note)
    names = [(name.replace("_", " "), column.replace("_", " ")) for name in changes for column in columns]
    size = f"A table of {len(changes)} by {len(columns)}"
    highest, lowest = (f"{values.flat[at]:.2g} at {', '.join(names[at])}" for at in (values.argmax(), values.argmin()))
    about = f"{title}. {note}." if note else f"{title}."
    figure.alt = f"{about} {size}, from {lowest}, to {highest}."
    return figure
