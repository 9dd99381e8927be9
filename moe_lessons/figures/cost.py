"""What a model costs, the still picture of CostView: memory by precision, and speed under two roofs."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure


def draw_cost(
    memory: Mapping[str, tuple[float, float]],
    precision: str,
    device_memory: float,
    batches: Sequence[int],
    roofs: Mapping[str, Sequence[float]],
    here: tuple[int, float],
    title: str,
) -> Figure:
    """Left: bytes of weights and caches at each precision. Right: tokens a second that memory and arithmetic allow."""
    figure = new_figure(WIDEST, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    clean(left, grid="x")
    for row, (name, (weights, cache)) in enumerate(memory.items()):
        alpha = 1.0 if name == precision else 0.45
        left.barh(row, weights / 1e9, height=0.6, color=PALETTE[0], alpha=alpha, label="weights" if not row else None)
        left.barh(
            row, cache / 1e9, left=weights / 1e9, height=0.6, color=PALETTE[1], alpha=alpha,
            label="caches" if not row else None,
        )  # fmt: skip
    left.axvline(device_memory / 1e9, color=MUTED, linewidth=0.9, dashes=(4, 3))
    left.set_yticks(range(len(memory)), list(memory))
    left.tick_params(axis="y", labelcolor=INK, labelsize=9)
    left.invert_yaxis()
    left.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")
    left.set(xlabel="GB; dashed: one device")
    heading(left, "memory")
    clean(right)
    ends = []
    for (name, rates), color in zip(roofs.items(), (PALETTE[0], PALETTE[3]), strict=False):
        right.plot(batches, rates, color=color, linewidth=1.2, dashes=(5, 3))
        ends.append((batches[-1], rates[-1], name, color))
    right.plot(batches, np.min([*roofs.values()], axis=0), color=INK, linewidth=2)
    right.plot(*here, marker="o", color=INK)
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    right.minorticks_off()
    right.set(xlabel="texts at once")
    heading(right, "tokens a second, at best")
    figure.suptitle("\n".join(textwrap.wrap(title, 105)), x=0.01, ha="left", fontsize=8.5, color=INK)
    figure.draw_without_rendering()
    label_ends(right, ends)
    return figure
