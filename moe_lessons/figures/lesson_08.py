"""Lesson 08's pictures: why load tips over and what sets it right."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.colors import BUSY, IDLE, expert_colors
from moe_lessons.figures.style import (
    INK,
    MUTED,
    PALETTE,
    RULE,
    WIDEST,
    clean,
    heading,
    name_ends,
    new_figure,
    plot_named,
    printable,
)


def _colors(names: Iterable[str], known: Mapping[str, str] | None) -> list[str]:
    """A color for each name: its own where it has one, otherwise by its place."""
    by_place = itertools.cycle(PALETTE[i] for i in (0, 3, 2, 1, 5))
    return [(known or {}).get(name, color) for name, color in zip(names, by_place, strict=False)]


def draw_over_steps(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    ylabel: str,
    *,
    xlabel: str = "steps",
    powers: bool = False,
    level: float | None = None,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Named lines of (steps, values); `powers` gives an axis of powers of two, `level` a dashed line.

    `colors` holds the colors of named lines, as a board has them.
    """
    figure = new_figure(WIDEST, 2.6)
    axis = clean(figure.subplots())
    ends = plot_named(axis, curves, _colors(curves, colors), linewidth=1.7)
    if level is not None:
        axis.axhline(level, color=MUTED, linewidth=0.9, dashes=(4, 3))
    if powers:
        axis.set_yscale("log", base=2)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
    else:
        axis.set_ylim(bottom=0)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    name_ends(axis, title, ends)
    return figure


def draw_alone(
    seen: Mapping[str, Int[np.ndarray, " experts"]],
    losses: Mapping[str, Float[np.ndarray, " experts"]],
    title: str,
    *,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Each expert of each run as a dot: the tokens it was trained on, and the loss when it works alone."""
    figure = new_figure(WIDEST, 2.9)
    axis = clean(figure.subplots())
    for (name, tokens), color, marker in zip(seen.items(), _colors(seen, colors), "osD^", strict=False):
        axis.scatter(
            tokens, losses[name], color=color, marker=marker, s=26, label=name, edgecolor="white", linewidth=0.6
        )
    axis.set_xscale("log")
    axis.set(xlabel="tokens that the expert was trained on", ylabel="loss when it works alone")
    axis.minorticks_off()
    heading(axis, title)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)
    return figure


def draw_push(
    share: Float[np.ndarray, " experts"],
    probability: Float[np.ndarray, " experts"],
    push: Float[np.ndarray, " experts"],
) -> Figure:
    """Each expert's share of the choices f and its mean probability p; below, where a step would move its logits.

    Where all tokens have the same p, that is p_e times the difference between f's mean weighted by p and f_e.
    """
    figure = new_figure(WIDEST, 3.0)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    places = np.arange(len(share))
    clean(top).bar(places - 0.2, share, width=0.38, color=PALETTE[0], label="f: share of the choices")
    top.bar(places + 0.2, probability, width=0.38, color=PALETTE[1], label="p: mean probability")
    top.axhline(1 / len(share), color=MUTED, linewidth=0.9, dashes=(4, 3))
    top.legend(frameon=False, fontsize=8, labelcolor=INK)
    heading(top, "One layer without balance")
    clean(bottom).bar(places, push, width=0.7, color=np.where(push < 0, BUSY, IDLE))
    bottom.axhline(0, color=MUTED, linewidth=0.8)
    bottom.set(xlabel="expert", yticks=[0])
    bottom.set_xticks(places)
    heading(bottom, "Where the balance loss pushes its logits: p, times how far f lies below its p-weighted mean")
    return figure


def draw_choices(
    scores: Float[np.ndarray, "tokens experts"],
    pieces: Sequence[str],
    by: Mapping[str, Bool[np.ndarray, "tokens experts"]],
) -> Figure:
    """The same scores read along rows and along columns: who is chosen, and how often each token and each expert."""
    tokens = len(scores)
    figure = new_figure(WIDEST, 0.24 * tokens + 0.95)
    axes = figure.subplots(1, len(by), sharey=True)
    for axis, (title, chosen) in zip(np.atleast_1d(axes), by.items(), strict=True):
        _draw_matrix(axis, scores, chosen, title)
    names = [printable(piece) for piece in pieces]
    np.atleast_1d(axes)[0].set_yticks(range(tokens), names, fontsize=8, family="DejaVu Sans Mono", color=INK)
    told = [
        f"{title}: {chosen.sum(axis=1).min()} to {chosen.sum(axis=1).max()} experts a token, "
        f"{chosen.sum(axis=0).min()} to {chosen.sum(axis=0).max()} tokens an expert"
        for title, chosen in by.items()
    ]
    figure.alt = f"The same scores of {tokens} tokens and {scores.shape[1]} experts, read in {len(by)} ways. "
    figure.alt += f"{'; '.join(told)}."
    return figure


def _draw_matrix(axis: Axes, scores: np.ndarray, chosen: np.ndarray, title: str) -> None:
    tokens, n_experts = scores.shape
    colors = expert_colors(n_experts)
    shade = np.sqrt(scores / scores.max())
    for token, expert in np.ndindex(tokens, n_experts):
        on = chosen[token, expert]
        face = colors[expert] if on else str(0.97 - 0.35 * shade[token, expert])
        axis.add_patch(Rectangle((expert - 0.45, token - 0.42), 0.9, 0.84, facecolor=face, linewidth=0))
    for expert, count in enumerate(chosen.sum(axis=0)):
        axis.text(expert, tokens + 0.1, str(count), ha="center", va="center", fontsize=8, color=INK)
    for token, count in enumerate(chosen.sum(axis=1)):
        axis.text(n_experts + 0.1, token, str(count), ha="center", va="center", fontsize=8, color=INK)
    axis.set(xlim=(-0.6, n_experts + 0.6), ylim=(tokens + 0.6, -0.6), xticks=[])
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.axhline(tokens - 0.45, color=RULE, linewidth=0.8)
    axis.axvline(n_experts - 0.45, color=RULE, linewidth=0.8)
    heading(axis, title)
