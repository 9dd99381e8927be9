"""How evenly experts are loaded while a model learns: runs side by side, and a text's routes at one moment."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.colors import BUSY, IDLE, expert_colors
from moe_lessons.figures.style import (
    INK,
    MUTED,
    PALETTE,
    RULE,
    WIDEST,
    caption,
    clean,
    new_figure,
    printable,
)
from moe_lessons.tracing.drift import NOBODY, drift, new_choices

_SIGN, _LINE = 0.072, 0.26  # inches: one sign of the text, and from line to line
_MOST_LINES = 6


class LoadCurve(NamedTuple):
    """One run: how long each expert worked at each point of it, and where a fixed text went in its snapshots."""

    name: str
    steps: Int[np.ndarray, " points"]
    losses: Float[np.ndarray, " points"]
    loads: Float[np.ndarray, "points layers experts"]
    text_steps: Int[np.ndarray, " snapshots"]
    text: Int[np.ndarray, "snapshots layers tokens top_k"]  # -1: nobody


def over_window(values: Float[np.ndarray, " points *rest"], window: int) -> Float[np.ndarray, " points *rest"]:
    """The mean of each point and those before it, `window` of them where there are as many."""
    total = np.concatenate([np.zeros_like(values[:1], dtype=np.float64), np.cumsum(values, axis=0, dtype=np.float64)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(0, last - window)
    return (total[last] - total[first]) / (last - first).reshape(-1, *[1] * (values.ndim - 1))


def over_mean(loads: Float[np.ndarray, "*rows experts"]) -> Float[np.ndarray, "*rows experts"]:
    """Each expert's load over the mean of all, nan where nobody worked."""
    mean = loads.mean(axis=-1, keepdims=True)
    return np.divide(loads, mean, out=np.full(loads.shape, np.nan), where=mean > 0)


def peak(loads: Float[np.ndarray, "*rows experts"]) -> Float[np.ndarray, "*rows"]:
    """The busiest expert's load over the mean: 1 is balance, nan where nobody worked."""
    return over_mean(loads).max(axis=-1)


def evenness(loads: Float[np.ndarray, "*rows experts"]) -> Float[np.ndarray, "*rows"]:
    """Entropy of the load over that of a uniform one: 1 is balance, 0 is one expert doing everything."""
    share = over_mean(loads) / loads.shape[-1]
    nats = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=-1)
    return nats / math.log(loads.shape[-1]) if loads.shape[-1] > 1 else share.sum(axis=-1)


def idle(loads: Float[np.ndarray, "*rows experts"]) -> Int[np.ndarray, "*rows"]:
    """How many experts have less than a tenth of the mean load."""
    return (over_mean(loads) < 0.1).sum(axis=-1)


def shade(ratio: Float[np.ndarray, "*rows"]) -> Float[np.ndarray, "*rows 4"]:
    """Red, green, blue and opacity of a load over the mean load: nothing at 1, full at none and at 8 times."""
    strength = np.clip(np.abs(np.log2(np.maximum(np.nan_to_num(ratio, nan=1.0), 1 / 8))) / 3, 0, 1)
    color = np.where((ratio > 1)[..., None], _channels(BUSY), _channels(IDLE))
    return np.concatenate([color, strength[..., None]], axis=-1)


def _channels(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def draw_loads(
    curves: Sequence[LoadCurve],
    *,
    layer: int = 0,
    at: float | None = None,
    window: int = 10,
    pieces: Sequence[str] = (),
    chosen: str = "",
    title: str = "",
) -> Figure:
    """Each run's load (experts by steps), its bars at step `at` (by default the last), and all curves together.

    Where the run called `chosen` has snapshots, the text is drawn below with its experts at that step.
    """
    curves = [curve for curve in curves if len(curve.steps)]
    across = min(3, len(curves)) or 1
    rows = -(-len(curves) // across)
    text = next((curve for curve in curves if curve.name == chosen and len(curve.text_steps)), None)
    lines = _wrap(pieces, int((WIDEST - 0.1) / _SIGN)) if text else []
    heights = [1.75 * rows, 1.75, 0.45 + _LINE * len(lines)][: 3 if text else 2]
    figure = new_figure(WIDEST, sum(heights) + 0.3 * bool(title))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if not curves:
        parts[0].text(0.5, 0.5, "no steps yet", ha="center", color=MUTED)
        return figure
    last = max(float(curve.steps[-1]) for curve in curves)
    at = last if at is None or at < 0 else at
    grid = parts[0].subplots(rows, 2 * across, width_ratios=[3, 1] * across, squeeze=False)
    for axis in grid.flat:
        axis.axis("off")
    for number, curve in enumerate(curves):
        row, column = divmod(number, across)
        _draw_run(grid[row, 2 * column : 2 * column + 2], curve, layer, at, window, PALETTE[number % len(PALETTE)])
    _draw_curves(parts[1], curves, layer, at, window)
    if text:
        _draw_text(parts[2], text, layer, at, pieces, lines)
    return figure


def _reached(steps: np.ndarray, at: float) -> int:
    """The last index whose step is not after `at`."""
    return max(0, int(np.searchsorted(steps, at, side="right")) - 1)


def _draw_run(axes: Sequence[Axes], curve: LoadCurve, layer: int, at: float, window: int, color: str) -> None:
    heat, bars = axes
    layer = min(layer, curve.loads.shape[1] - 1)
    loads = curve.loads[:, layer]
    n, index = loads.shape[1], _reached(curve.steps, at)
    now = over_window(loads, window)[index]
    heat.axis("on")
    heat.imshow(
        shade(over_mean(loads)).transpose(1, 0, 2),
        aspect="auto",
        interpolation="antialiased",
        extent=(curve.steps[0] - 0.5, curve.steps[-1] + 0.5, n - 0.5, -0.5),
    )
    heat.axvline(at, color=INK, linewidth=0.9)
    heat.set(yticks=[], xticks=[])
    for side in heat.spines.values():
        side.set(color=RULE)
    heat.set_title(curve.name, loc="left", fontsize=9, fontweight="bold", color=color, parse_math=False)
    words = f"max/mean {peak(now):.2f}, entropy {evenness(now):.2f}, {idle(now) or 'none'} idle"
    caption(heat, words)
    bars.axis("on")
    bars.barh(range(n), now, height=0.8, color=expert_colors(n))
    bars.axvline(now.mean(), color=INK, linewidth=0.8, dashes=(3, 2))
    bars.set(ylim=(n - 0.5, -0.5), xlim=(0, max(4 * now.mean(), 1.05 * now.max())), yticks=[], xticks=[])
    for side in bars.spines.values():
        side.set_visible(False)


def _draw_curves(part: Figure, curves: Sequence[LoadCurve], layer: int, at: float, window: int) -> None:
    drifting = any(len(curve.text_steps) > 1 for curve in curves)
    panels = [clean(axis) for axis in part.subplots(1, 4 if drifting else 3)]
    names = ("max / mean", "entropy of the load", "loss, nats per token", "choices changed")
    bottom, top = math.inf, -math.inf
    for number, curve in enumerate(curves):
        color, row = PALETTE[number % len(PALETTE)], min(layer, curve.loads.shape[1] - 1)
        loads = over_window(curve.loads[:, row], window)
        losses = over_window(curve.losses, window)
        for axis, values in zip(panels, (peak(loads), evenness(loads), losses), strict=False):
            axis.plot(curve.steps, values, color=color, linewidth=1.5)
        bottom, top = min(bottom, np.nanmin(losses)), max(top, np.nanmax(losses[len(losses) // 8 :]))
        if drifting and len(curve.text_steps) > 1:
            changed = drift(curve.text)[:, min(layer, curve.text.shape[1] - 1)]
            panels[3].plot(curve.text_steps[1:], changed, color=color, linewidth=1.5)
    most = max(curve.loads.shape[2] for curve in curves)
    panels[0].set_yscale("log", base=2)
    panels[0].set(ylim=(0.95, most * 1.05), yticks=[2**i for i in range(int(math.log2(most)) + 1)])
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].minorticks_off()
    panels[1].set(ylim=(0, 1.03))
    span = max(1e-6, top - bottom)
    panels[2].set(ylim=(bottom - 0.05 * span, bottom + 1.02 * span))
    if drifting:
        panels[3].set(ylim=(0, None))
        panels[3].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for axis, name in zip(panels, names, strict=False):
        axis.axvline(at, color=INK, linewidth=0.8)
        axis.tick_params(labelsize=7)
        axis.set_xlim(0, None)
        axis.set_title(name, loc="left", fontsize=8.5, color=INK)


def _draw_text(
    part: Figure, curve: LoadCurve, layer: int, at: float, pieces: Sequence[str], lines: Sequence[Sequence[int]]
) -> None:
    layer = min(layer, curve.text.shape[1] - 1)
    index = _reached(curve.text_steps, at)
    now, before = curve.text[index, layer], curve.text[max(0, index - 1), layer]
    moved = np.asarray(new_choices(now, before).any(axis=-1))
    colors = expert_colors(curve.loads.shape[2])
    page = part.add_axes((0, 0, 1, 1))
    height = 0.4 + _LINE * len(lines)
    page.set(xlim=(0, WIDEST), ylim=(height, 0))
    page.axis("off")
    words = f"The text in “{curve.name}” at step {int(curve.text_steps[index])}, layer {layer}"
    page.text(0.05, 0.15, words, fontsize=8.5, fontweight="bold", color=INK, va="center", parse_math=False)
    for row, line in enumerate(lines):
        x, y = 0.05, 0.32 + _LINE * (row + 0.5)
        for token in line:
            shown = printable(pieces[token])
            width = _SIGN * max(1, len(shown.replace("\\$", "$")))
            expert = int(now[token, 0])
            face = RULE if expert == NOBODY else colors[expert]
            page.add_patch(Rectangle((x, y - 0.1), width - 0.01, 0.2, facecolor=face, alpha=0.55, linewidth=0))
            if moved[token]:
                page.plot([x, x + width - 0.01], [y + 0.1] * 2, color=INK, linewidth=1.4, solid_capstyle="butt")
            page.text(x, y, shown, fontsize=7.5, family="DejaVu Sans Mono", color=INK, va="center")
            x += width


def _wrap(pieces: Sequence[str], signs: int) -> list[list[int]]:
    """Token numbers by line; a text that is too long for the figure is cut."""
    lines: list[list[int]] = [[]]
    used = 0
    for token, piece in enumerate(pieces):
        width = max(1, len(printable(piece).replace("\\$", "$")))
        if used + width > signs and lines[-1]:
            lines.append([])
            used = 0
        lines[-1].append(token)
        used += width
    return lines[:_MOST_LINES]
