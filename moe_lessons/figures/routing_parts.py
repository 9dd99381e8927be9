"""The parts of RouterView's still picture: the text, the grid of all layers, load and scores."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from moe_lessons.figures.contrast import luminance
from moe_lessons.figures.style import INK, MUTED, RULE
from moe_lessons.tracing.rule import Knobs, Routed, slots_per_expert
from moe_lessons.tracing.trace import RoutingTrace

SIGN = 0.0645  # inches: the width of one sign of the text
LINE = 0.225  # inches: from line to line of the text


class Still(NamedTuple):
    """What all parts of the picture draw from."""

    trace: RoutingTrace
    routed: Sequence[Routed]  # one per layer
    row: int
    pinned: int
    colors: list[str]
    highlight: int | None
    knobs: Knobs  # of the drawn layer


def _faded(color: str | tuple, amount: float) -> tuple[float, ...]:
    return tuple(1 - amount * (1 - channel) for channel in to_rgb(color))


def text_panel(page: Axes, top: float, lines: list, view: Still, changed: np.ndarray) -> None:
    """The tokens in their lines: colored by the first expert, underlined by the second, dotted above where changed."""
    routed, trace, colors = view.routed[view.row], view.trace, view.colors
    for number, line in enumerate(lines):
        y = top + number * LINE
        for token, column, text in line:
            x, width = 0.02 + column * SIGN, len(text) * SIGN
            experts, weights, dropped = routed.experts[token], routed.weights[token], routed.dropped[token]
            inside = view.highlight is None or view.highlight in experts
            strength = weights[0] / weights.sum() if weights.sum() > 0 else 0
            blank = not trace.pieces[token].strip()
            shade = (0.16 + 0.44 * strength) * (0.55 if blank else 1) if inside else 0.06
            base = colors[experts[0]] if inside else MUTED
            page.add_patch(Rectangle((x, y), width - 0.012, 0.165, facecolor=_faded(base, shade), linewidth=0))
            if len(experts) > 1 and inside and not dropped[1]:
                underline = Rectangle((x, y + 0.165), width - 0.012, 0.028, facecolor=colors[experts[1]], linewidth=0)
                page.add_patch(underline)
            if changed[token]:
                page.plot([x + 0.01, x + width - 0.02], [y - 0.012] * 2, color=INK, linewidth=1.2, linestyle=":")
            if dropped.all():
                page.plot([x, x + width - 0.012], [y + 0.088] * 2, color=INK, linewidth=0.9)
            if token == view.pinned:
                box = Rectangle((x - 0.008, y - 0.006), width + 0.004, 0.205, fill=False, edgecolor=INK, linewidth=1.3)
                page.add_patch(box)
            # Sign by sign: the font's own width would drift away from the cells.
            for offset, sign in enumerate(text):
                if sign != " ":
                    page.text(
                        x + (offset + 0.45) * SIGN,
                        y + 0.088,
                        sign,
                        fontsize=7.4,
                        family="DejaVu Sans Mono",
                        ha="center",
                        va="center_baseline",
                        color=MUTED if blank or sign in "↵→" or not inside else INK,
                        parse_math=False,
                    )


def grid_panel(axis: Axes, view: Still, changed: Sequence[np.ndarray]) -> None:
    """Each cell is twelve thin rows of pixels: one that may be dark, seven of the first expert, two of the second."""
    trace, layers, tokens = view.trace, view.trace.n_layers, view.trace.n_tokens
    table = np.array([to_rgb(color) for color in view.colors])
    picture = np.ones((layers, 12, tokens, 3))
    for at, (routed, other) in enumerate(zip(view.routed, changed, strict=True)):
        last = min(1, routed.experts.shape[1] - 1)

        def shade(rank: int, routed: Routed = routed) -> np.ndarray:
            strength = np.where(routed.dropped[:, rank], 0.25, 1.0)[:, None]
            return 1 - strength * (1 - table[routed.experts[:, rank]])

        picture[at, :9] = shade(0)
        picture[at, 9:11] = shade(last)
        picture[at, 0][other] = to_rgb(INK)
        if view.highlight is not None:
            outside = ~(routed.experts == view.highlight).any(axis=-1)
            picture[at][:, outside] = 1 - 0.12 * (1 - picture[at][:, outside])
    extent = (-0.5, tokens - 0.5, layers - 0.5, -0.5)
    axis.imshow(picture.reshape(layers * 12, tokens, 3), extent=extent, aspect="auto", interpolation="nearest")
    if tokens <= 110:
        axis.vlines(np.arange(tokens + 1) - 0.5, -0.5, layers - 0.5, color="white", linewidth=0.7)
    if tokens <= 64 and layers <= 8:
        for at, routed in enumerate(view.routed):
            for t, (expert, lost) in enumerate(zip(routed.experts[:, 0], routed.dropped[:, 0], strict=True)):
                ink = "white" if luminance(picture[at, 4, t]) < 0.3 else INK
                axis.text(t, at - 0.13, str(expert), fontsize=6, ha="center", va="center", color=ink)
                if lost:
                    axis.plot([t - 0.3, t + 0.3], [at - 0.13] * 2, color=INK, linewidth=0.8)
    axis.set(xlim=(-0.6, tokens - 0.4), ylim=(layers - 0.45, -0.55), xticks=[])
    axis.set_yticks(range(layers), [f"layer {number}" for number in trace.layers], fontsize=7.5)
    axis.tick_params(length=0, pad=2, labelcolor=MUTED)
    axis.get_yticklabels()[view.row].set(color=INK, fontweight="bold")
    for side in axis.spines.values():
        side.set_visible(False)
    wide, line = {"fill": False, "edgecolor": INK, "clip_on": False}, 1.1
    axis.add_patch(Rectangle((-0.5, view.row - 0.5), tokens, 0.92, linewidth=line, **wide))
    axis.add_patch(Rectangle((view.pinned - 0.5, -0.56), 1, layers + 0.06, linewidth=line, **wide))


def load_panel(axis: Axes, view: Still, load: np.ndarray, mean: float) -> None:
    """Tokens per expert, what was dropped pale, and a line at the slots or at the mean."""
    n, routed, capacity = len(load), view.routed[view.row], view.knobs.capacity
    kept = np.bincount(routed.experts[~routed.dropped], minlength=n)
    faces = [c if view.highlight in (None, e) else _faded(c, 0.3) for e, c in enumerate(view.colors)]
    if (kept < load).any():
        pale = [_faded(face, 0.25) for face in faces]
        axis.bar(range(n), load, width=0.72, color=pale, edgecolor=faces, linestyle=(0, (2, 1.4)), linewidth=0.8)
        axis.bar(range(n), kept, width=0.72, color=faces)
    else:
        axis.bar(range(n), load, width=0.72, color=faces)
    slots = slots_per_expert(capacity, len(routed.experts), routed.experts.shape[1], n) if capacity else 0
    line, words = (slots, f"{slots} slots") if capacity else (mean, f"mean {mean:.3g}")
    axis.set(xlim=(-0.6, n - 0.4), ylim=(0, max(load.max(), min(line, 2 * load.max())) * 1.18), yticks=[])
    if line <= axis.get_ylim()[1]:
        _bound(axis, line, words)
    if n <= 16:
        for expert, count in enumerate(load):
            axis.annotate(
                str(count), (expert, count), (0, 2), textcoords="offset points", fontsize=7, ha="center", color=MUTED
            )
    _number(axis, view)


def _bound(axis: Axes, value: float, words: str) -> None:
    axis.axhline(value, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0.5)
    axis.annotate(
        words,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(2, 0),
        textcoords="offset points",
        fontsize=7,
        color=MUTED,
        va="center",
        annotation_clip=False,
    )


def score_panel(axis: Axes, view: Still) -> None:
    """The pinned token's scores, what bias adds to them dashed, and the weight of each chosen expert."""
    routed, n, colors = view.routed[view.row], view.trace.n_experts, view.colors
    scores = routed.scores[view.pinned]
    # Only differences between biases matter for a choice, and training may move them all together.
    own = view.trace.bias[view.row]
    bias = own - own.min() + (np.array(view.knobs.bias) if view.knobs.bias else 0)
    parts = (part[view.pinned].tolist() for part in (routed.experts, routed.weights, routed.dropped))
    chosen = {expert: "dropped" if lost else f"×{weight:.2f}" for expert, weight, lost in zip(*parts, strict=True)}
    faces = [colors[e] if e in chosen else _faded(colors[e], 0.28) for e in range(n)]
    axis.bar(range(n), scores, width=0.72, color=faces)
    if bias.any():
        axis.bar(
            range(n),
            bias,
            bottom=scores,
            width=0.72,
            facecolor="none",
            edgecolor=colors,
            linestyle=(0, (2, 1.4)),
            linewidth=0.9,
        )
    wanted = scores + bias
    top = max(float(np.maximum(scores, wanted).max()), 1e-9)
    axis.set(xlim=(-0.6, n - 0.4), ylim=(min(0.0, float(wanted.min())), top * 1.18))
    for expert, weight in chosen.items():
        axis.annotate(
            weight,
            (expert, max(scores[expert], wanted[expert])),
            (0, 2.5),
            textcoords="offset points",
            fontsize=7.5,
            fontweight="bold",
            ha="center",
            color=INK,
            rotation=0 if n <= 16 and "dropped" not in chosen.values() else 90,
        )
    _bound(axis, min(wanted[expert] for expert in chosen), f"top {len(chosen)}")
    axis.set_yticks([0, round(top, 2)])
    axis.tick_params(axis="y", labelsize=7)
    _number(axis, view)
    for label, expert in zip(axis.get_xticklabels(), axis.get_xticks(), strict=True):
        if expert in chosen:
            label.set(color=INK, fontweight="bold")


def _number(axis: Axes, view: Still) -> None:
    """Number the experts; with their bias below, and in brackets where they are off."""
    n, knobs = view.trace.n_experts, view.knobs
    ticks = range(0, n, 1 if n <= 24 else 4 if n <= 40 else 8)

    def name(expert: int) -> str:
        number = f"({expert})" if expert in knobs.off else str(expert)
        return f"{number}\n{knobs.bias[expert]:+.3g}" if knobs.bias and knobs.bias[expert] else number

    axis.set_xticks(ticks, [name(expert) for expert in ticks])
    axis.tick_params(axis="x", labelsize=7.5 if n <= 16 else 6.5, pad=2)
    axis.spines["bottom"].set_color(RULE)
