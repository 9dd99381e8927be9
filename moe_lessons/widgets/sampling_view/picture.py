"""The next token's distribution before and after temperature, top-k and top-p, and seeded draws from it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, heading, new_figure, printable


def sample_distribution(logits: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Probabilities `[vocab]`: temperature first, then the top_k likeliest (0: all), then the nucleus of top_p.

    The nucleus is the smallest set of likeliest tokens that reaches top_p (arXiv:1904.09751). Ties go to the
    lower token id; temperature 0 puts everything on the likeliest token.
    """
    logits = np.asarray(logits, dtype=np.float64)
    order = np.argsort(-logits, kind="stable")
    kept = np.zeros_like(logits)
    if temperature == 0:
        kept[order[0]] = 1.0
        return kept
    ordered = np.exp((logits[order] - logits[order[0]]) / temperature)
    ordered /= ordered.sum()
    if top_k:
        ordered[top_k:] = 0.0
        ordered /= ordered.sum()
    if top_p < 1:
        ordered[np.cumsum(ordered) - ordered >= top_p] = 0.0
        ordered /= ordered.sum()
    kept[order] = ordered
    return kept


def uniforms(n: int, seed: int) -> list[float]:
    """Numbers in [0, 1) from mulberry32, a generator small enough to be the same in the browser."""
    state, numbers = seed & 0xFFFFFFFF, []
    for _ in range(n):
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        mixed = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
        mixed ^= (mixed + ((mixed ^ (mixed >> 7)) * (mixed | 61))) & 0xFFFFFFFF
        numbers.append((mixed ^ (mixed >> 14)) / 2**32)
    return numbers


def draw_counts(probabilities: np.ndarray, n: int, seed: int) -> np.ndarray:
    """How often each token came in `n` seeded draws, `[vocab]`; the same seed means the same draws."""
    edges = np.cumsum(probabilities)
    drawn = np.searchsorted(edges, np.array(uniforms(n, seed)) * edges[-1], side="right")
    return np.bincount(drawn, minlength=len(probabilities))


def draw_sampling(
    before: np.ndarray,
    kept: np.ndarray,
    pieces: Sequence[str],
    counts: np.ndarray | None = None,
    title: str = "",
    most: int = 25,
) -> Figure:
    """Bars of the likeliest tokens: `kept` filled, what was cut off from `before` in gray, `counts` as dots."""
    order = np.argsort(-before, kind="stable")[:most]
    figure = new_figure(WIDEST, 3.2)
    axis = clean(figure.subplots())
    places = np.arange(len(order))
    cut = kept[order] == 0
    axis.bar(places, np.where(cut, before[order], 0), color=RULE, width=0.8)
    axis.bar(places, kept[order], color=PALETTE[0], width=0.8)
    axis.bar(places, np.where(cut, 0, before[order]), fill=False, edgecolor=INK, linewidth=0.7, width=0.8)
    if counts is not None and counts.sum():
        drawn = counts[order] > 0
        axis.plot(places[drawn], counts[order][drawn] / counts.sum(), "o", color=PALETTE[3], markersize=5)
    axis.set_xticks(places, [printable(pieces[int(token)]) for token in order], rotation=90, size=8)
    for label, gone in zip(axis.get_xticklabels(), cut, strict=True):
        label.set(color=MUTED if gone else INK, family="DejaVu Sans Mono")
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    positive = kept[kept > 0]
    entropy = float(-(positive * np.log(positive)).sum())
    notes = [f"{len(positive)} of {len(kept)} tokens kept", f"entropy {entropy + 0.0:.2f} nats"]
    if counts is not None and counts.sum():
        notes.append(f"dots: {counts.sum()} draws")
    axis.text(0.99, 0.97, "\n".join(notes), transform=axis.transAxes, ha="right", va="top", fontsize=8.5, color=MUTED)
    heading(axis, title.replace("$", r"\$"))
    return figure
