"""What a sparse model holds and what works on one token: one model by part, and many models side by side."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from moe_lessons.figures.colors import PARTS, ink_on
from moe_lessons.figures.numbers import brief
from moe_lessons.figures.style import INK, PALETTE, RULE, WIDEST, clean, heading, new_figure

_IDLE = "#D9D9D9"
#: The parts as elsewhere, but dense layers told from experts.
_PARTS = PARTS | {"feed_forward": (PALETTE[6], "dense feed-forward"), "attention": (PALETTE[0], "attention")}


class Held(NamedTuple):
    """Parameters in all, and of them at work on one token."""

    total: int
    active: int


def draw_at_work(parts: Mapping[str, Held], title: str) -> Figure:
    """Above, the whole model to scale, its idle experts gray; below, what is at work, enlarged, part by part."""
    figure = new_figure(WIDEST, 3.0)
    axis = figure.subplots()
    total, active = (sum(held[i] for held in parts.values()) for i in (0, 1))
    axis.set(xlim=(-0.005, 1.005), ylim=(-1.75, 2.45))
    axis.axis("off")
    share = active / total
    axis.barh(1.5, 1, height=0.6, left=0, color=_IDLE)
    axis.add_patch(Polygon([(0, 1.2), (share, 1.2), (1, 0.5), (0, 0.5)], fc="#F1F1F1", lw=0))
    idle = total - active
    axis.text((1 + share) / 2, 1.5, f"{brief(idle)} idle", ha="center", va="center", fontsize=9, color=INK)
    axis.text(0, 2.0, f"{brief(total)} parameters; {brief(active)} at work on a token", fontsize=9, color=INK)
    for y, whole, height in ((1.5, total, 0.6), (0.2, active, 0.6)):
        left = 0.0
        for name, held in parts.items():
            axis.barh(y, held.active / whole, left=left, height=height, color=_PARTS[name][0], ec="white", lw=0.4)
            left += held.active / whole
    _name_parts(axis, parts, active)
    heading(axis, title)
    return figure


def _name_parts(axis: Axes, parts: Mapping[str, Held], active: int) -> None:
    """Shares inside the wide parts of the lower bar, and a legend in two columns below it."""
    left, seen = 0.0, [(name, held) for name, held in parts.items() if held.active]
    rows = (len(seen) + 1) // 2
    for place, (name, held) in enumerate(seen):
        share, color = held.active / active, _PARTS[name][0]
        if share > 0.04:
            words = f"{share:.0%}"
            axis.text(left + share / 2, 0.2, words, ha="center", va="center", fontsize=8.5, color=ink_on(color))
        left += share
        x, y = 0.5 * (place // rows), -0.4 - 0.34 * (place % rows)
        axis.barh(y, 0.018, left=x, height=0.2, color=color)
        words = f"{_PARTS[name][1]}: {brief(held.active)}"
        if held.total > held.active:
            words += f" of {brief(held.total)}"
        axis.text(x + 0.027, y, words, va="center", fontsize=8.5, color=INK)


def draw_models(models: Mapping[str, Held], title: str) -> Figure:
    """A row for each model on a logarithmic axis: a dot at what is at work, a ring at what is held, and the share."""
    figure = new_figure(WIDEST, 0.85 + 0.215 * len(models))
    axis = clean(figure.subplots(), grid="x")
    for row, held in enumerate(models.values()):
        color = PALETTE[0] if held.active < held.total else PALETTE[7]
        axis.plot([held.active, held.total], [row, row], color=RULE, linewidth=3, zorder=1, solid_capstyle="round")
        axis.scatter(held.total, row, s=34, facecolor="white", edgecolor=color, linewidth=1.5, zorder=2)
        axis.scatter(held.active, row, s=30, color=color, zorder=3)
        axis.annotate(
            f"{held.active / held.total:.0%}" if held.active < held.total else "dense",
            (held.total, row),
            (8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
        )
    axis.set_xscale("log")
    axis.set_xlim(0.7 * min(held.active for held in models.values()), 2.4 * max(held.total for held in models.values()))
    axis.set_yticks(range(len(models)), list(models), fontsize=8, color=INK)
    axis.set(ylim=(len(models) - 0.4, -0.6), xlabel="parameters: dot at work on a token, ring in all")
    axis.xaxis.set_major_formatter(lambda value, _: brief(value))
    axis.minorticks_off()
    heading(axis, title)
    told = [f"{name} {brief(held.active)} of {brief(held.total)}" for name, held in models.items()]
    figure.alt = f"{title}. Parameters at work on a token, of all: {', '.join(told)}."
    return figure
