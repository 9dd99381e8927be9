"""Arms of a study side by side: what each layer of them is, what was tried for them, and every seed's loss."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.charts import dot_seeds
from moe_lessons.figures.colors import ink_on
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure

_OTHER = "#D9D9D9"


def draw_layer_kinds(
    kinds: Mapping[str, Sequence[str]], losses: Mapping[str, Sequence[float]], title: str, xlabel: str
) -> Figure:
    """A row for each arm: its layers as squares, first layer left, a kind of layer in its color; and its seeds' dots.

    Losses are compared with the first arm's of the same seed: its own dots all lie at 0. A bar is at the mean.
    """
    base = np.array(losses[next(iter(kinds))])
    gaps = {name: np.array(losses[name]) - base for name in kinds}
    figure = new_figure(WIDEST, 1.25 + 0.36 * len(kinds))
    left, right = figure.subplots(1, 2, width_ratios=(1, 4), sharey=True)
    clean(right, grid="x")
    seen = list(dict.fromkeys(kind for layers in kinds.values() for kind in layers))
    colors = dict(zip(seen, (PALETTE[0], PALETTE[1], _OTHER), strict=False))
    for row, layers in enumerate(kinds.values()):
        for place, kind in enumerate(layers):
            left.add_patch(Rectangle((place - 0.42, row - 0.32), 0.84, 0.64, fc=colors[kind], ec="white"))
            left.text(place, row, str(place), ha="center", va="center", fontsize=7.5, color=ink_on(colors[kind]))
    n_layers = max(map(len, kinds.values()))
    left.set(xlim=(-0.6, n_layers - 0.4))
    left.spines[:].set_visible(False)
    left.set_xticks([])
    left.tick_params(length=0)
    left.set_xlabel("layer", fontsize=8.5, color=MUTED)
    right.axvline(0, color=MUTED, linewidth=0.9, dashes=(4, 3))
    dot_seeds(right, np.array(list(gaps.values())), np.arange(len(gaps), dtype=float), bar=0.2)
    left.set_yticks(range(len(kinds)), list(kinds), fontsize=8.5, color=INK)
    right.tick_params(labelleft=False)
    right.set(xlabel=xlabel, ylim=(len(kinds) - 0.5, -0.5))
    handles = [Rectangle((0, 0), 1, 1, fc=colors[kind], ec="white", label=kind) for kind in seen]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(seen), frameon=False, fontsize=8.5, labelcolor=INK
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    told = [f"{name} {gap.mean():+.3f} ({gap.min():+.3f} to {gap.max():+.3f})" for name, gap in gaps.items()]
    figure.alt = f"{title}. {xlabel}, {len(base)} seeds. {'; '.join(told)}."
    return figure


def draw_trials(
    trials: Mapping[str, Sequence[float]], fresh: Mapping[str, Sequence[float]], title: str, xlabel: str
) -> Figure:
    """A row for each arm: rings for settings tried, dots for the best of them on fresh seeds, a bar at their mean."""
    figure = new_figure(WIDEST, 1.15 + 0.5 * len(fresh))
    axis = clean(figure.subplots(), grid="x")
    for row, name in enumerate(fresh):
        tried = trials[name]
        axis.scatter(tried, [row + 0.2] * len(tried), s=26, facecolor="white", edgecolor=MUTED, linewidth=1.1, zorder=2)
    dot_seeds(axis, np.array(list(fresh.values())), np.arange(len(fresh)) - 0.14, bar=0.2)
    axis.scatter([], [], s=26, facecolor="white", edgecolor=MUTED, label="settings tried, one seed of their own")
    axis.scatter([], [], s=26, color=PALETTE[0], label="the best of them, fresh seeds")
    axis.set_yticks(range(len(fresh)), list(fresh), fontsize=8.5, color=INK)
    axis.set(xlabel=xlabel, ylim=(len(fresh) - 0.5, -0.5))
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5, labelcolor=INK)
    told = [
        f"{name}: {len(trials[name])} settings from {min(trials[name]):.3f} to {max(trials[name]):.3f}; the best on "
        f"{len(values)} fresh seeds {np.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f}"
        for name, values in fresh.items()
    ]
    figure.alt = f"{title}. {xlabel}. {'; '.join(told)}."
    return figure
