"""Lesson 05's pictures: functions on a plane, what pulls at the router, and how much luck a training needs."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.plane import Truth, frame, outline
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure

_HEIGHTS = LinearSegmentedColormap.from_list("heights", ["#F7FAFC", "#BFD9E8", PALETTE[0], "#00324F"])


def draw_heights(
    functions: Mapping[str, Float[np.ndarray, " samples"]], extent: float, truth: Truth | None = None
) -> Figure:
    """Functions on `grid(extent)` side by side: darker is higher, lines join equal heights, `truth` adds its edges."""
    figure = new_figure(
        WIDEST * len(functions) / 3 if len(functions) < 3 else WIDEST, WIDEST / max(len(functions), 3) + 0.3
    )
    low = min(values.min() for values in functions.values())
    high = max(values.max() for values in functions.values())
    levels = np.arange(np.floor(low * 2) / 2, high + 0.5, 0.5)
    for axis, (name, values) in zip(
        figure.subplots(1, len(functions), squeeze=False)[0], functions.items(), strict=True
    ):
        size = round(len(values) ** 0.5)
        image = values.reshape(size, size)
        sides = ((np.arange(size) + 0.5) / size * 2 - 1) * extent
        # A line of equal height cannot cross a cliff: there it would run along the squares' corners.
        jump = np.maximum(*(abs(slope) for slope in np.gradient(image))) > 4 * (high - low) / size
        frame(axis, extent)
        axis.imshow(image, cmap=_HEIGHTS, vmin=low, vmax=high, extent=(-extent, extent) * 2, interpolation="nearest")
        lines = {"colors": INK, "linewidths": 0.5, "linestyles": "solid"}
        axis.contour(sides, sides[::-1], np.ma.array(image, mask=jump), levels=levels, **lines)
        if truth is not None:
            outline(axis, truth, extent)
        heading(axis, name)
    told = [f"{name} from {values.min():.2f} to {values.max():.2f}" for name, values in functions.items()]
    figure.alt = f"Functions on a square from {-extent:g} to {extent:g}, darker is higher: {', '.join(told)}."
    return figure


def draw_pull(
    pulls: Mapping[str, Float[np.ndarray, " experts"]], chosen: Mapping[str, Int[np.ndarray, " top_k"]]
) -> Figure:
    """What one point's loss asks of each expert's logit, one panel a mixture: up, down, or nothing."""
    figure = new_figure(WIDEST, 2.2)
    axes = figure.subplots(1, len(pulls), sharey=True, squeeze=False)[0]
    for axis, (name, pull) in zip(axes, pulls.items(), strict=True):
        clean(axis)
        at_work = np.isin(np.arange(len(pull)), chosen[name])
        colors = [color if on else "#C9C9C9" for color, on in zip(expert_colors(len(pull)), at_work, strict=True)]
        axis.bar(range(len(pull)), pull, color=colors, width=0.75)
        axis.axhline(0, color=MUTED, linewidth=0.8)
        axis.set_xticks(range(len(pull)))
        for label, on in zip(axis.get_xticklabels(), at_work, strict=True):
            label.set(color=INK if on else MUTED, fontweight="bold" if on else "normal")
        axis.set(xlabel="expert")
        axis.set_title(name, fontsize=8.5, color=INK, loc="left")
    axes[0].set(ylabel="pull on the logit")
    return figure


def draw_luck(
    losses: Mapping[str, Float[np.ndarray, " samples"]], idle: Mapping[str, Int[np.ndarray, " samples"]]
) -> Figure:
    """One dot a run, one row a kind of mixture; a dot's color says how many of its experts are never asked."""
    figure = new_figure(WIDEST, 0.62 * len(losses) + 0.85)
    axis = clean(figure.subplots(), grid="x")
    most = max(int(counts.max()) for counts in idle.values())
    shades = LinearSegmentedColormap.from_list("idle", [PALETTE[2], PALETTE[1], PALETTE[3], "#5A1E00"])
    colors = [shades(count / max(most, 1)) for count in range(most + 1)]
    width = 1.04 * max(values.max() for values in losses.values()) / 72  # of a dot: as many fit side by side
    heaps = {name: np.round(values / width).astype(int) for name, values in losses.items()}
    highest = max(np.bincount(heap).max() for heap in heaps.values())
    for row, (name, heap) in enumerate(heaps.items()):
        lift = np.zeros(len(heap))
        for place in np.unique(heap):
            here = np.flatnonzero(heap == place)
            lift[here[np.argsort(idle[name][here], kind="stable")]] = np.arange(len(here))
        step = min(0.11, 0.72 / highest)
        axis.scatter(heap * width, row + 0.34 - lift * step, s=20, color=[colors[n] for n in idle[name]], linewidths=0)
        axis.plot([np.median(losses[name])] * 2, [row + 0.42, row - 0.42], color=MUTED, linewidth=1, zorder=0)
    axis.set(
        xlim=(0, 74 * width), ylim=(len(losses) - 0.5, -0.5), xlabel="loss after training; the line is the middle run"
    )
    axis.set_yticks(range(len(losses)), list(losses), color=INK, fontsize=8.5)
    for count, color in enumerate(colors):
        axis.scatter([], [], s=20, color=[color], label=f"{count} never asked" if count == 0 else str(count))
    figure.legend(loc="outside lower center", ncols=most + 1, frameon=False, fontsize=8, handletextpad=0.1)
    told = [
        f"{name}: middle {np.median(values):.3g}, from {values.min():.3g} to {values.max():.3g}, "
        f"{(idle[name] > 0).sum()} of {len(values)} with an expert that is never asked"
        for name, values in losses.items()
    ]
    figure.alt = f"Loss after training, a dot for each run. {'; '.join(told)}."
    return figure
