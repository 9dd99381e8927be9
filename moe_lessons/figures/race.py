"""Several runs of two models against what they have used up: tokens, arithmetic, seconds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from moe_lessons.figures.style import MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure


class Course(NamedTuple):
    """One run on its way: what it had used up and its loss, at each of its points."""

    used: Mapping[str, Sequence[float]]
    loss: Sequence[float]


def crossing(leader: Course, follower: Course, by: str) -> float | None:
    """Where the follower gets in front for good, in units of what `by` counts; None where it is never in front at last.

    Between two points the loss is taken to fall in a straight line; only where both have points can they be compared.
    """
    ways = leader.used[by], follower.used[by]
    first, last = max(way[0] for way in ways), min(way[-1] for way in ways)
    places = sorted({x for way in ways for x in way if first <= x <= last})
    ahead = [np.interp(places, run.used[by], run.loss) for run in (leader, follower)]
    behind = (ahead[1] - ahead[0]).tolist()
    if not behind or behind[-1] >= 0:
        return None
    at = max((i for i, gap in enumerate(behind) if gap >= 0), default=None)
    if at is None:
        return places[0]
    share = behind[at] / (behind[at] - behind[at + 1])
    return places[at] + share * (places[at + 1] - places[at])


def draw_race(models: Mapping[str, Sequence[Course]], title: str, units: Mapping[str, str]) -> Figure:
    """A panel for each thing that is used up, named by `units`; a thin line for each run, one color a model.

    A dashed line stands where the second model's mean over its runs passes the first one's for good.
    """
    figure = new_figure(WIDEST, 2.9)
    panels = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
    means = {name: mean_course(runs) for name, runs in models.items()}
    for axis, (by, unit) in zip(panels, units.items(), strict=True):
        clean(axis)
        ends = []
        for (name, runs), color in zip(models.items(), PALETTE, strict=False):
            for run in runs:
                axis.plot(run.used[by], run.loss, color=color, linewidth=0.9)
            ends.append((means[name].used[by][-1], means[name].loss[-1], name, color))
        first, second = list(means.values())[:2]
        if (at := crossing(first, second, by)) is not None:
            axis.axvline(at, color=MUTED, linewidth=0.8, dashes=(4, 3))
        axis.set(xlabel=unit)
        axis.set_xlim(left=0)
        if axis is panels[-1]:
            right = axis.get_xlim()[1]
            label_ends(axis, [(right, y, name, color) for _, y, name, color in ends])
    panels[0].set_ylabel("held-out nats per token")
    heading(panels[0], title)
    return figure


def mean_course(runs: Sequence[Course]) -> Course:
    """The mean of several runs at equal shares of their way: of what they had used up, and of their loss."""
    n = min(len(run.loss) for run in runs)
    shares = np.linspace(0, 1, n)
    at = [np.linspace(0, 1, len(run.loss)) for run in runs]
    used = {
        by: np.mean([np.interp(shares, x, run.used[by]) for x, run in zip(at, runs, strict=True)], axis=0).tolist()
        for by in runs[0].used
    }
    loss = np.mean([np.interp(shares, x, run.loss) for x, run in zip(at, runs, strict=True)], axis=0).tolist()
    return Course(used, loss)
