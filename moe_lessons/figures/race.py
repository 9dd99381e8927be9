"""Pairs of runs of two models against what they have used up: tokens, arithmetic, seconds; and how they differ."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from moe_lessons.figures.contrast import readable
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure

#: The runs of each of two models, the one to be compared with first; runs at the same place make a pair.
Race = Mapping[str, Sequence["Course"]]


class Course(NamedTuple):
    """One run on its way: what it had used up and its loss, at each of its points."""

    used: Mapping[str, Sequence[float]]  # by what is counted; above 0, and rising
    loss: Sequence[float]


class Gap(NamedTuple):
    """How far the second model's loss is above the first's; below 0 it is ahead."""

    used: list[float]
    loss: list[float]


def gaps(race: Race, by: str) -> list[Gap]:
    """Each pair's gap at all points of both runs, as far as both have them.

    From one point to the next a loss is taken to fall in a straight line over the logarithm of what is used up, which
    is nearer to the truth than one over the thing itself. Raises ValueError where the runs are not in pairs.
    """
    first, second = list(race.values())[:2]
    if len(first) != len(second):
        raise ValueError(f"race has {len(first)} runs of one model and {len(second)} of the other; give it pairs")
    found = []
    for pair in zip(first, second, strict=True):
        ways = [(run.used[by], run.loss) for run in pair]
        places = _common([used for used, _ in ways])
        one, other = (_between(places, used, loss) for used, loss in ways)
        found.append(Gap(places, (other - one).tolist()))
    return found


def mean_gap(race: Race, by: str) -> Gap:
    """The mean of the pairs' gaps, as far as all of them reach."""
    pairs = gaps(race, by)
    places = _common([gap.used for gap in pairs])
    return Gap(places, np.mean([_between(places, *gap) for gap in pairs], axis=0).tolist())


def ahead_from(gap: Gap) -> float | None:
    """What was used up when the second model got ahead for good; None where it is not ahead at the end."""
    if not gap.loss or gap.loss[-1] >= 0:
        return None
    at = max((i for i, loss in enumerate(gap.loss) if loss >= 0), default=None)
    if at is None:
        return gap.used[0]
    return _where(0, gap.used[at : at + 2], gap.loss[at : at + 2])


def used_until(course: Course, loss: float, by: str) -> float | None:
    """What a run had used up when its loss came down to this for the first time; None where it never did."""
    down = next((i for i, each in enumerate(course.loss) if each <= loss), None)
    if not down:
        return None if down is None else course.used[by][0]
    return _where(loss, course.used[by][down - 1 : down + 1], course.loss[down - 1 : down + 1])


def draw_race(models: Race, title: str, units: Mapping[str, str]) -> Figure:
    """A panel for each thing that is used up, named by `units`; a thin line for each run, one color a model.

    A dashed line stands where the second model, in the mean of the pairs, gets ahead for good.
    """
    figure = new_figure(WIDEST, 2.9)
    panels = figure.subplots(1, len(units), sharey=True, squeeze=False)[0]
    for axis, (by, unit) in zip(panels, units.items(), strict=True):
        clean(axis)
        for runs, color in zip(models.values(), PALETTE, strict=False):
            for run in runs:
                axis.plot(run.used[by], run.loss, color=color, linewidth=0.9)
        if (at := ahead_from(mean_gap(models, by))) is not None:
            axis.axvline(at, color=MUTED, linewidth=0.8, dashes=(4, 3))
        axis.set(xlabel=unit)
        axis.set_xlim(left=0)
    right = panels[-1].get_xlim()[1]
    ends = {name: float(np.mean([run.loss[-1] for run in runs])) for name, runs in models.items()}
    named = [(right, end, name, color) for (name, end), color in zip(ends.items(), PALETTE, strict=False)]
    label_ends(panels[-1], named)
    panels[0].set_ylabel("held-out nats per token")
    heading(panels[0], title)
    second = list(models)[1]
    places = {unit: ahead_from(mean_gap(models, by)) for by, unit in units.items()}
    passes = [f"not over {unit}" if at is None else f"from {_amount(at)} {unit} on" for unit, at in places.items()]
    last = [f"{name} ends at {', '.join(f'{run.loss[-1]:.3f}' for run in runs)}" for name, runs in models.items()]
    figure.alt = f"{title}. Held-out nats per token: {'; '.join(last)}. In the mean of the pairs, {second} is ahead "
    figure.alt += f"at the end {', '.join(passes)}."
    return figure


def draw_gaps(races: Mapping[str, Race], title: str, units: Mapping[str, str]) -> Figure:
    """A row for each race, a panel for each thing that is used up; a thin line for each pair, a thick one for the mean.

    Below the line at zero the second model is ahead. A dashed line stands where the mean gets there for good, and words
    above the panel say where that is, or that it does not.
    """
    second = list(next(iter(races.values())))[1]
    figure = new_figure(WIDEST, 0.65 + 1.3 * len(races))
    panels = figure.subplots(len(races), len(units), sharey="row", squeeze=False)
    told = []
    for (name, race), row in zip(races.items(), panels, strict=True):
        clauses = []
        for axis, by in zip(row, units, strict=True):
            mean = mean_gap(race, by)
            at = ahead_from(mean)
            clean(axis).axhline(0, color=INK, linewidth=0.8)
            for gap in gaps(race, by):
                axis.plot(*gap, color=PALETTE[1], linewidth=0.9)
            axis.plot(*mean, color=readable(PALETTE[1]), linewidth=2.2)
            if at is not None:
                axis.axvline(at, color=MUTED, linewidth=0.8, dashes=(4, 3))
            verdict = "not ahead at the end" if at is None else f"ahead from {_amount(at)} on"
            axis.set_title(f"{second} {verdict}", loc="left", fontsize=8, color=INK)
            axis.set_xlim(left=0)
            clauses.append(f"{mean.loss[-1]:+.3f}, {'not ahead' if at is None else f'from {_amount(at)}'}")
        row[0].set_ylabel(name)
        told.append(f"{name}: {'; '.join(clauses)}.")
    for axis, unit in zip(panels[-1], units.values(), strict=True):
        axis.set_xlabel(unit)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    each = f"For each race, over {', '.join(units.values())}: the mean at the end, and from where {second} is ahead."
    figure.alt = f"{title}. {each} {' '.join(told)}"
    return figure


def _amount(used: float) -> str:
    return f"{used:,.0f}" if used >= 100 else f"{used:.3g}"


def _common(ways: Sequence[Sequence[float]]) -> list[float]:
    """All points of several ways between the last of their beginnings and the first of their ends."""
    first, last = max(way[0] for way in ways), min(way[-1] for way in ways)
    return sorted({place for way in ways for place in way if first <= place <= last})


def _between(places: Sequence[float], used: Sequence[float], values: Sequence[float]) -> np.ndarray:
    return np.interp(np.log(places), np.log(used), values)


def _where(value: float, used: Sequence[float], values: Sequence[float]) -> float:
    """Between two points of which the second lies lower, what is used up where this value is reached."""
    share = (values[0] - value) / (values[0] - values[1])
    return float(np.exp(np.interp(share, [0, 1], np.log(used))))
