"""Machines and the experts that they work with: the still picture of PlacementView."""

import textwrap

import numpy as np
from jaxtyping import Int, Num
from matplotlib.figure import Figure

from moe_lessons.figures.colors import expert_colors, ink_on
from moe_lessons.figures.style import INK, MUTED, WIDEST, clean, heading, new_figure


def draw_placement(
    experts: Int[np.ndarray, "machines slots"], work: Num[np.ndarray, "machines slots"], title: str
) -> Figure:
    """A column for each machine, made of its experts' shares of the mean load; a copy's number has a stroke.

    `work` is what each slot has to do; all wait for the highest column.
    """
    machines = len(experts)
    copies = np.bincount(experts.ravel())
    colors = expert_colors(len(copies))
    plate = {"boxstyle": "round,pad=0.15", "linewidth": 0}  # keeps a number free of the strokes
    height = work / work.sum(axis=1).mean()
    figure = new_figure(WIDEST, 3.1)
    axis = clean(figure.subplots())
    for machine in range(machines):
        bottom = 0.0
        for slot in np.argsort(-height[machine], kind="stable"):
            expert, tall = int(experts[machine, slot]), float(height[machine, slot])
            copied = copies[expert] > 1
            axis.bar(
                machine, tall, 0.7, bottom, color=colors[expert], edgecolor="white", linewidth=1.2,
                hatch="////" if copied else None,
            )  # fmt: skip
            if tall > 0.07:
                axis.text(
                    machine, bottom + tall / 2, f"{expert}{'′' if copied else ''}", ha="center", va="center",
                    fontsize=8, color=ink_on(colors[expert]),
                    bbox=plate | {"facecolor": colors[expert]} if copied else None,
                )  # fmt: skip
            bottom += tall
    total = height.sum(axis=1)
    axis.axhline(1, color=MUTED, linewidth=0.9, dashes=(4, 3))
    axis.axhline(total.max(), color=INK, linewidth=1.4)
    axis.annotate(
        f"all wait for this: {total.max():.2f}", (machines - 0.5, total.max()), xytext=(0, 4),
        textcoords="offset points", ha="right", fontsize=8.5, color=INK,
    )  # fmt: skip
    axis.set_xticks(range(machines), [f"machine {at}" if machines <= 8 else str(at) for at in range(machines)])
    axis.set(ylabel="load, in times of the mean", xlim=(-0.5, machines - 0.5), ylim=(0, 1.14 * total.max()))
    heading(axis, "\n".join(textwrap.wrap(title, 100)))
    each = "; ".join(f"machine {at} {load:.2f}" for at, load in enumerate(total))
    figure.alt = f"{title}. Load in times of the mean: {each}. All wait for {total.max():.2f}."
    return figure
