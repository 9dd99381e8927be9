"""What a changed route costs: loss by kind of text, as a table of colors, and beside the load that moved."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure

# Blue where the loss falls, white where nothing changes, vermilion where it rises.
_CHANGE = LinearSegmentedColormap.from_list("change", ["#0072B2", "#FFFFFF", "#D55E00"])


def draw_changes(changes: Mapping[str, Mapping[str, float]], title: str, note: str = "") -> Figure:
    """A table of loss changes, `changes[row][column]`: the number, and a color as deep as it is large."""
    columns = list(next(iter(changes.values())))
    values = np.array([[row[column] for column in columns] for row in changes.values()])
    experts = all(column.isdigit() for column in columns)
    figure = new_figure(WIDEST, 0.75 + 0.29 * len(changes))
    axis = clean(figure.subplots(), grid="")
    axis.spines["bottom"].set_visible(False)
    most = max(float(np.abs(values).max()), 1e-9)
    axis.imshow(values, cmap=_CHANGE, vmin=-most, vmax=most, aspect="auto", interpolation="nearest")
    for (row, column), value in np.ndenumerate(values):
        # A zero says nothing: keep it quiet, so that the eye finds the others.
        ink = MUTED if abs(value) < 0.005 else "white" if value < -0.5 * most else INK
        words = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
        axis.text(column, row, words, ha="center", va="center", fontsize=7 if len(columns) > 8 else 8, color=ink)
    axis.set_xticks(range(len(columns)), [column.replace("_", " ") for column in columns])
    axis.set_yticks(range(len(changes)), [name.replace("_", " ") for name in changes])
    axis.xaxis.tick_top()
    axis.tick_params(labelsize=8, labelcolor=INK)
    if experts:
        for label, color in zip(axis.get_xticklabels(), expert_colors(len(columns)), strict=True):
            label.set(fontweight="bold", bbox={"facecolor": color, "edgecolor": "none", "pad": 1.5, "alpha": 0.45})
    axis.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(changes) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="minor", length=0)
    heading(axis, title)
    if note:
        axis.set_xlabel(note)
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
