"""Mixtures of linear experts on a plane: who answers where, and what is answered.

A point is (x, y, 1), so that three numbers are a linear function of it: an expert's logit, or what it answers.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.style import INK, MUTED, RULE, WIDEST, new_figure
from moe_lessons.routing_rule import ScoreFunction
from moe_lessons.tracing.rule import Routed, route

_SIZE = 120  # squares along one side of a picture
_PALE = 0.1  # of an expert's color is left where it weighs nothing


class PlaneRun(NamedTuple):
    """A mixture of linear experts, kept at several moments of its training."""

    name: str
    steps: Int[np.ndarray, " snapshots"]
    router: Float[np.ndarray, "snapshots experts 3"]
    planes: Float[np.ndarray, "snapshots experts 3"]  # what each expert answers
    loss: Float[np.ndarray, " snapshots"]
    top_k: int
    score_function: ScoreFunction = "softmax"
    normalize: bool = True
    noise: Float[np.ndarray, "snapshots experts 3"] | None = None  # the router's noise_weight, where it has one


class Truth(NamedTuple):
    """What is to be learned: where a row of `borders` is the largest, the answer is that of the same `planes` row."""

    borders: Float[np.ndarray, "rows 3"]
    planes: Float[np.ndarray, "rows 3"]


def grid(extent: float, size: int = _SIZE) -> Float[np.ndarray, "samples 3"]:
    """The middles of size x size squares from -extent to extent, from the upper left to the lower right."""
    middle = ((np.arange(size) + 0.5) / size * 2 - 1) * extent
    x, y = np.meshgrid(middle, middle[::-1])
    return np.stack([x.ravel(), y.ravel(), np.ones(size * size)], axis=1)


def mix(run: PlaneRun, moment: int, points: Float[np.ndarray, "samples 3"]) -> tuple[Routed, np.ndarray]:
    """Where the points go at one moment, and what the mixture answers; without noise, as in evaluation."""
    logits = points @ run.router[moment].astype(np.float64).T
    routed = route(logits, None, run.top_k, run.score_function, run.normalize)
    answers = np.take_along_axis(points @ run.planes[moment].astype(np.float64).T, routed.experts, axis=1)
    return routed, (routed.weights * answers).sum(axis=1)


def right_answer(truth: Truth, points: Float[np.ndarray, "samples 3"]) -> Float[np.ndarray, " samples"]:
    """What should be answered at each point."""
    piece = (points @ truth.borders.T).argmax(axis=1)
    return (points * truth.planes[piece]).sum(axis=1)


def seams(truth: Truth, extent: float) -> list[tuple[float, float, float, float]]:
    """The straight borders between two pieces, as (x, y) to (x, y)."""
    found = []
    along = np.linspace(-3 * extent, 3 * extent, 3001)
    for one, other in combinations(range(len(truth.borders)), 2):
        a, b, c = truth.borders[one] - truth.borders[other]
        length = np.hypot(a, b)
        if length == 0:
            continue
        x, y = -a * c / length**2 - b / length * along, -b * c / length**2 + a / length * along
        scores = np.stack([x, y, np.ones_like(x)], axis=1) @ truth.borders.T
        on = np.flatnonzero((scores.max(axis=1) - scores[:, one] < 1e-6) & (np.maximum(abs(x), abs(y)) <= extent))
        if len(on) > 1:
            found.append((x[on[0]], y[on[0]], x[on[-1]], y[on[-1]]))
    return found


def draw_planes(
    runs: Sequence[PlaneRun],
    extent: float,
    truth: Truth | None = None,
    moments: Sequence[int] | None = None,
) -> Figure:
    """Each run a row, each moment a column: the plane colored by its strongest expert, pale where it weighs little."""
    if moments is None:
        last = len(runs[0].steps) - 1
        moments = [round(last * share) for share in (0, 0.15, 0.3, 0.5, 1)]
    room = 1.0  # inches for the names
    side = (WIDEST - room) / len(moments)
    figure = new_figure(WIDEST, (side + 0.24) * len(runs) + 0.1)
    axes = figure.subplots(len(runs), len(moments), squeeze=False)
    points = grid(extent)
    for row, run in zip(axes, runs, strict=True):
        colors = np.array([to_rgb(color) for color in expert_colors(run.router.shape[1])])
        for axis, moment in zip(row, moments, strict=True):
            routed, _ = mix(run, moment, points)
            frame(axis, extent)
            axis.imshow(shade(routed, colors), extent=(-extent, extent) * 2, interpolation="bilinear")
            _name_experts(axis, routed.experts[:, 0], points)
            if truth is not None:
                outline(axis, truth, extent)
            words = f"step {run.steps[moment]:,}, loss {run.loss[moment]:.2f}"
            axis.set_title(words, fontsize=6.8, color=MUTED, pad=2.5)
        row[0].set_ylabel(run.name.replace(", ", ",\n"), rotation=0, ha="right", va="center", fontsize=8.5, color=INK)
    told = []
    for run in runs:
        seen = [len(np.unique(mix(run, moment, points)[0].experts[:, 0])) for moment in (moments[0], moments[-1])]
        told.append(
            f"{run.name}: loss {run.loss[moments[0]]:.2f} to {run.loss[moments[-1]]:.2f}, strongest somewhere are "
            f"{seen[0]}, then {seen[1]} of {run.router.shape[1]} experts"
        )
    figure.alt = f"The plane colored by its strongest expert, from step {runs[0].steps[moments[0]]:,} to "
    figure.alt += f"{runs[0].steps[moments[-1]]:,}. {'; '.join(told)}."
    return figure


def shade(routed: Routed, colors: Float[np.ndarray, "experts 3"]) -> Float[np.ndarray, "rows columns 3"]:
    """A square picture: the color of each point's strongest expert, mixed with white where its weight is small."""
    strength = _PALE + (1 - _PALE) * routed.weights[:, :1].clip(0, 1)
    size = round(len(strength) ** 0.5)
    return (1 - strength * (1 - colors[routed.experts[:, 0]])).reshape(size, size, 3)


def frame(axis: Axes, extent: float) -> None:
    """A square panel without numbers."""
    axis.set(xticks=[], yticks=[], xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    for spine in axis.spines.values():
        spine.set_color(RULE)


def outline(axis: Axes, truth: Truth, extent: float, color: str = INK) -> None:
    """Where the true pieces meet, dashed."""
    for x1, y1, x2, y2 in seams(truth, extent):
        axis.plot([x1, x2], [y1, y2], color=color, linewidth=0.9, dashes=(3, 2))


def _name_experts(axis: Axes, first: np.ndarray, points: np.ndarray) -> None:
    """The number of each expert in the middle of its region, which is convex, as a linear router's regions are."""
    for expert in np.unique(first):
        mine = points[first == expert]
        if len(mine) > 0.02 * len(points):
            x, y = mine[:, :2].mean(axis=0)
            words = axis.text(x, y, expert, fontsize=7, color=INK, ha="center", va="center")
            words.set_path_effects([withStroke(linewidth=2, foreground="white", alpha=0.75)])
