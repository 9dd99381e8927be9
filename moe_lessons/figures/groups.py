"""The choice within groups: one token's scores, group by group, and how many machines tokens travel to."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure

_IN, _LOST, _GAINED = PALETTE[0], PALETTE[3], PALETTE[2]


def draw_groups(
    preferences: Float[np.ndarray, " experts"],
    n_groups: int,
    open_groups: Collection[int],
    free: Collection[int],
    limited: Collection[int],
    title: str,
) -> Figure:
    """One token's preferences, experts side by side; open groups are tinted, each says the sum of its two best.

    Blue bars are chosen with groups and without, red ones only without, green ones only with them. Sums have as many
    digits as it takes to tell the last open group from the first closed one.
    """
    size, gap = len(preferences) // n_groups, 0.8
    figure = new_figure(WIDEST, 2.75)
    axis = clean(figure.subplots(), grid="")
    top = float(preferences.max())
    low = min(0.0, float(preferences.min()))
    worths = np.sort(preferences.reshape(n_groups, size), axis=1)[:, -2:].sum(axis=1)
    digits = _digits(
        *(np.array([w for g, w in enumerate(worths) if (g in open_groups) == inside]) for inside in (1, 0))
    )
    for group in range(n_groups):
        left = group * (size + gap) - 0.5
        if group in open_groups:
            axis.add_patch(Rectangle((left - 0.1, low), size + 0.2, 1.22 * top - low, fc="#E8F1F8", lw=0, zorder=0))
        axis.text(
            left + size / 2,
            1.13 * top,
            f"{worths[group]:.{digits}f}",
            ha="center",
            va="center",
            fontsize=8.5,
            color=INK if group in open_groups else MUTED,
            fontweight="bold" if group in open_groups else "normal",
        )
    for expert, value in enumerate(preferences):
        both, lost = expert in free and expert in limited, expert in free
        color = _IN if both else _LOST if lost else _GAINED if expert in limited else "#CFCFCF"
        axis.bar(expert + gap * (expert // size), value, width=0.8, color=color, zorder=2)
    centers = [group * (size + gap) + (size - 1) / 2 for group in range(n_groups)]
    axis.set_xticks(centers, [f"machine {group}" for group in range(n_groups)], fontsize=7.5)
    axis.set(ylim=(low, 1.22 * top), ylabel="score + bias")
    free, limited = set(free), set(limited)
    kinds = {"with and without groups": (free & limited, _IN), "lost": (free - limited, _LOST)}
    kinds["taken instead"] = (limited - free, _GAINED)
    for label, (members, color) in kinds.items():
        if members:
            axis.bar(0, 0, color=color, label=label)
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=INK)
    return figure


def _digits(inside: np.ndarray, outside: np.ndarray) -> int:
    """Decimals, two to four, with which the least of the one and the greatest of the other are not written alike."""
    if not len(inside) or not len(outside):
        return 2
    pair = float(inside.min()), float(outside.max())
    return next((n for n in (2, 3, 4) if f"{pair[0]:.{n}f}" != f"{pair[1]:.{n}f}"), 4)


def draw_machines(shares: Mapping[str, Sequence[float]], title: str) -> Figure:
    """How large a share of the tokens travels to 1, 2, 3, ... machines, one bar for each rule."""
    figure = new_figure(WIDEST, 2.5)
    axis = clean(figure.subplots())
    width = 0.8 / len(shares)
    for number, ((name, values), color) in enumerate(zip(shares.items(), (PALETTE[7], PALETTE[0]), strict=False)):
        places = np.arange(1, len(values) + 1) + (number - (len(shares) - 1) / 2) * width
        axis.bar(places, values, width=0.92 * width, color=color, label=name)
    axis.set_xticks(range(1, 1 + max(map(len, shares.values()))))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.set(xlabel="machines that a token's vector must reach", ylabel="share of the tokens")
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5, labelcolor=INK)
    return figure
