"""SwiGLU's gate: the function, and which hidden units each token opens."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure

from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure, printable


def draw_gate(pieces: Sequence[str], gates: Float[np.ndarray, "tokens hidden"]) -> Figure:
    """Left: silu against relu. Right: silu of each token's gate products, one column for each hidden unit."""
    figure = new_figure(WIDEST, 3.0)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.7])
    clean(left)
    z = np.linspace(-5, 4, 200)
    left.plot(z, np.maximum(z, 0), color=MUTED, linewidth=1.4, linestyle="--")
    left.plot(z, z / (1 + np.exp(-z)), color=PALETTE[1], linewidth=2.2)
    left.text(1.9, 3.1, "relu", color=MUTED, fontsize=8.5, ha="right")
    left.text(2.6, 1.6, "silu", color=PALETTE[3], fontsize=8.5)
    left.text(-5, 0.95, "shut", color=INK, fontsize=8.5)
    left.text(-0.6, 3.7, "open", color=INK, fontsize=8.5, ha="right")
    left.set(xlabel="gate(x), one unit", xticks=[-4, -2, 0, 2, 4], ylim=(-0.6, 4.2))
    heading(left, "how far a unit is open")
    clean(right, grid="")
    # silu is never below -0.28: a shut unit still passes a little, with the other sign.
    shades = LinearSegmentedColormap.from_list(
        "gate", [(0, PALETTE[0]), (0.5, SHEET), (0.75, PALETTE[1]), (1, PALETTE[3])]
    )
    low, top = min(float(gates.min()), -1e-6), max(float(gates.max()), 1e-6)
    image = right.imshow(gates, cmap=shades, norm=TwoSlopeNorm(0, low, top), aspect="auto", interpolation="nearest")
    right.set_yticks(range(len(pieces)), [printable(piece) for piece in pieces])
    right.tick_params(axis="y", labelcolor=INK, labelsize=7.5)
    right.set(xlabel="hidden unit")
    heading(right, "silu(gate(x)) for each token: blue below 0")
    bar = figure.colorbar(image, ax=right, shrink=0.8, ticks=[low, 0, top], format="%.2f")
    bar.ax.tick_params(labelsize=7.5, labelcolor=MUTED, length=0)
    bar.outline.set_visible(False)
    return figure
