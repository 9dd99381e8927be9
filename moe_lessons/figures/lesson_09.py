"""Lesson 09's pictures: a layer cut into smaller experts, drawn to scale, and the choice within groups."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure

_SHARED = PALETTE[1]  # always at work
_CHOSEN = PALETTE[0]
_IN, _LOST, _GAINED = PALETTE[0], PALETTE[3], PALETTE[2]  # chosen with and without groups, only without, only with


class Widths(NamedTuple):
    """A layer's experts: how many, how wide, which ones a token uses, and how many are shared."""

    n_routed_experts: int
    hidden_dim: int
    chosen: Sequence[int]
    n_shared_experts: int = 0


def draw_cut(layers: Mapping[str, Widths], title: str) -> Figure:
    """Each layer as a row of experts, as wide as their hidden units; those at work on one token are filled."""
    figure = new_figure(WIDEST, 0.75 + 0.42 * len(layers))
    axis = figure.subplots()
    widest = max((each.n_routed_experts + each.n_shared_experts) * each.hidden_dim for each in layers.values())
    axis.set(xlim=(-0.002 * widest, 1.002 * widest), ylim=(len(layers) - 0.45, -0.75))
    axis.axis("off")
    for row, (name, layer) in enumerate(layers.items()):
        axis.text(0, row - 0.3, name, fontsize=8, color=INK, va="center")
        for expert in range(layer.n_shared_experts + layer.n_routed_experts):
            number = expert - layer.n_shared_experts  # below 0: shared
            face = _SHARED if number < 0 else _CHOSEN if number in layer.chosen else SHEET
            place = (expert * layer.hidden_dim + 0.06 * layer.hidden_dim, row - 0.12)
            axis.add_patch(Rectangle(place, 0.88 * layer.hidden_dim, 0.42, fc=face, ec=MUTED, lw=0.7))
    heading(axis, title)
    told = [
        f"{name}: {each.n_routed_experts} experts of width {each.hidden_dim}, {len(each.chosen)} of them filled"
        + (f", and {each.n_shared_experts} shared" if each.n_shared_experts else "")
        for name, each in layers.items()
    ]
    figure.alt = f"{title}. {'; '.join(told)}."
    return figure


def draw_sizes(ks: Sequence[int], ratios: Mapping[str, Sequence[float]], title: str, ylabel: str) -> Figure:
    """Lines over the number of chosen experts, both axes in powers of two; 1 is where both sides are equally long."""
    figure = new_figure(WIDEST, 2.7)
    axis = clean(figure.subplots())
    axis.axhline(1, color=MUTED, linewidth=0.9, dashes=(4, 3))
    for (name, values), color, marker in zip(ratios.items(), (PALETTE[i] for i in (0, 3, 2, 1)), "osD^", strict=False):
        axis.plot(ks, values, color=color, marker=marker, markersize=4.5, linewidth=1.6, label=name)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set(xlabel="experts chosen", ylabel=ylabel)
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)
    return figure


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
