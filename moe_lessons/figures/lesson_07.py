"""Lesson 07's pictures: a mixture of experts at work on one token, and what each expert is worth where."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import NullLocator

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure, printable


def draw_mixture(
    piece: str,
    scores: Float[np.ndarray, " experts"],
    experts: Int[np.ndarray, " top_k"],
    weights: Float[np.ndarray, " top_k"],
) -> Figure:
    """One token's way through a layer: scored by the router, worked on by a few experts, added up again."""
    n = len(scores)
    figure = new_figure(WIDEST, 0.5 + max(2.4, 0.225 * n))
    axis = figure.subplots()
    axis.set(xlim=(0, 14), ylim=(-0.75, n + 0.35))
    axis.axis("off")
    middle = (n - 1) / 2 + 0.1
    step: dict[str, Any] = {"color": INK, "ha": "center", "va": "center", "parse_math": False}
    chosen, colors = dict(zip(experts.tolist(), weights.tolist(), strict=True)), expert_colors(n)

    def box(x: float, y: float, width: float, height: float, face: str, edge: str) -> None:
        shape = "round,pad=0,rounding_size=0.15"
        axis.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, fc=face, ec=edge, lw=1.6, zorder=3))

    def arrow(start: tuple[float, float], end: tuple[float, float], color: str, width: float) -> None:
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "lw": width, "zorder": 2})

    shown = printable(piece).replace(r"\$", "$")
    box(0.1, middle - 0.5, 1.9, 1.0, SHEET, INK)
    axis.text(1.05, middle, shown, fontsize=9, family="DejaVu Sans Mono", zorder=4, **step)
    axis.text(1.05, middle + 0.9, "one token", fontsize=8, zorder=4, **dict(step, color=MUTED))
    axis.text(4.35, n + 0.1, "router: a score each", fontsize=8, **dict(step, color=MUTED))
    axis.text(8.35, n + 0.1, f"{n} experts, {len(chosen)} at work", fontsize=8, **dict(step, color=MUTED))
    for expert in range(n):
        y, on = n - 1 - expert + 0.1, expert in chosen
        width = 1.7 * scores[expert] / scores.max()
        axis.barh(y, width, left=3.6, height=0.55, color=colors[expert] if on else RULE, zorder=3)
        axis.text(3.5, y, f"{scores[expert]:.2f}", fontsize=7, va="center", ha="right", color=INK if on else MUTED)
        box(7.2, y - 0.36, 2.3, 0.72, colors[expert] if on else SHEET, colors[expert] if on else RULE)
        ink = INK if on else MUTED
        axis.text(8.35, y, f"expert {expert}", fontsize=8, zorder=4, **dict(step, color=ink))
        if on:
            axis.patches[-1].set_facecolor(SHEET)
            arrow((5.5, y), (7.15, y), colors[expert], 2)
            arrow((9.55, y), (12.0, middle), colors[expert], 2)
            # On its arrow, near the expert, where two arrows are still apart.
            at, ground = 9.55 + 0.22 * 2.45, {"boxstyle": "round,pad=0.1", "fc": SHEET, "ec": "none"}
            label = dict(step, fontsize=8, bbox=ground, zorder=4)
            axis.text(at, y + 0.22 * (middle - y), f"× {chosen[expert]:.2f}", **label)
    arrow((2.05, middle), (2.9, middle), INK, 1.6)
    axis.plot(12.3, middle, marker="o", markersize=15, color="white", markeredgecolor=INK, zorder=5)
    axis.text(12.3, middle, "+", fontsize=12, zorder=6, **step)
    arrow((12.65, middle), (13.9, middle), INK, 1.6)
    ways = ", ".join(f"expert {expert} with score {scores[expert]:.2f}, times {w:.2f}" for expert, w in chosen.items())
    figure.alt = f"One token, “{shown}”, is scored by the router and goes to {len(chosen)} of {n} experts: {ways}. "
    figure.alt += "Their answers are added up."
    return figure


def draw_importance(
    shares: Float[np.ndarray, "domains experts"],
    changes: Float[np.ndarray, "domains experts"],
    domains: Sequence[str],
    title: str,
    named: int = 4,
) -> Figure:
    """A point for each domain and expert: the share of the domain's tokens it serves, and their loss without it.

    The `named` costliest points carry their names, and so do the `named` busiest of those that cost little.
    """
    figure = new_figure(WIDEST, 3.2)
    axis = clean(figure.subplots())
    for number, domain in enumerate(domains):
        axis.scatter(
            shares[number], changes[number], s=26, color=PALETTE[number], label=domain.replace("_", " "), linewidths=0
        )
    axis.axhline(0, color=MUTED, linewidth=0.8)
    axis.set(xlabel="share of the domain's tokens that the expert works on", ylabel="nats per token without it")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    places = [(d, e) for d in range(len(domains)) for e in range(shares.shape[1])]
    costly = sorted(places, key=lambda place: -changes[place])[:named]
    cheap = [place for place in places if changes[place] < 0.1 * changes.max()]
    for place in dict.fromkeys([*costly, *sorted(cheap, key=lambda place: -shares[place])[:named]]):
        axis.annotate(
            str(place[1]), (shares[place], changes[place]), (4, 3), textcoords="offset points", fontsize=7.5, color=INK
        )
    axis.yaxis.set_minor_locator(NullLocator())
    axis.margins(x=0.04, y=0.1)
    axis.set_xlim(left=0)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, labelcolor=INK, handletextpad=0.1)
    heading(axis, title)
    return figure
