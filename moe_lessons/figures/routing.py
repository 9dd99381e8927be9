"""The still picture of RouterView: text, every layer, expert load and one token's scores."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, new_figure, printable
from moe_lessons.tracing.rule import Knobs, Routed, slots_per_expert
from moe_lessons.tracing.trace import RoutingTrace

# For experts past the palette: its first eight hues again, darker (below 0) or lighter (above).
_LEVELS = (0, 0, -0.38, 0.66, -0.6, 0.25, -0.2, 0.4)
_SIGN = 0.0645  # inches: the width of one sign of the text
_LINE = 0.225  # inches: from line to line of the text
_MOST_LINES = 8
_LEFT = 0.55  # inches: room for the layers' names
_OTHER = "#D55E00"  # what the model did not do


def expert_colors(n: int, palette: Sequence[str] = PALETTE) -> list[str]:
    """One color per expert, the same as in the browser; above 64 they repeat, so a number always stands beside them."""

    def color(expert: int) -> str:
        if expert < len(palette):
            return palette[expert].lower()
        level = _LEVELS[expert // 8 % 8]
        base = palette[expert % 8]
        channels = [int(base[i : i + 2], 16) for i in (1, 3, 5)]
        target = 0 if level < 0 else 255
        return "#" + "".join(f"{math.floor(c + (target - c) * abs(level) + 0.5):02x}" for c in channels)

    return [color(expert) for expert in range(n)]


def draw_routing(
    trace: RoutingTrace,
    layer: int | None = None,
    pinned: int | None = None,
    routed: Sequence[Routed] | None = None,
    moved: bool = False,
    highlight: int | None = None,
    title: str = "",
    *,
    knobs: Knobs | None = None,
    acts_on: int | None = None,
    applied: bool = False,
    other: Sequence[Routed] | None = None,
    partners: np.ndarray | None = None,
    names: tuple[str, str] = ("", ""),
) -> Figure:
    """One layer's text, load and scores, with the choices of every layer between them.

    `routed` holds each layer's choices to draw, by default the model's own; `moved` says that they are not, `knobs`
    what they follow, in the layer numbered `acts_on` or in all, `applied` that the model itself made them. `layer` is
    its number in the model, `pinned` a token's index (by default the last). `other` is another trace's routing, whose
    tokens `partners` finds; `names` are short ones for both.
    """
    row = 0 if layer is None else trace.row(layer)
    pinned = trace.n_tokens - 1 if pinned is None else pinned
    routed = trace.routed() if routed is None else routed
    knobs = trace.knobs if knobs is None else knobs
    here = acts_on in (None, trace.layers[row])
    view = _Still(trace, routed, row, pinned, expert_colors(trace.n_experts), highlight, knobs if here else trace.knobs)
    reference = trace.routed() if moved and other is None else other
    changed = [
        np.zeros(trace.n_tokens, bool) if reference is None else _changed(mine, theirs, partners)
        for mine, theirs in zip(routed, routed if reference is None else reference, strict=True)
    ]
    lines = _wrap(trace, int((WIDEST - 0.1) / _SIGN), pinned)
    cell = 0.19 if trace.n_layers <= 8 else 1.6 / trace.n_layers
    head, text, grid, bars = 0.56 + 0.24 * bool(title), len(lines) * _LINE, trace.n_layers * cell, 1.15
    height = head + 0.24 + text + 0.42 + grid + 0.5 + bars + 0.42
    figure = new_figure(WIDEST, height)
    figure.set_layout_engine("none")
    page = figure.add_axes((0, 0, 1, 1), label="text")
    page.set(xlim=(0, WIDEST), ylim=(height, 0))
    page.axis("off")

    top = 0.2
    if title:
        page.text(0.02, top, _shown(title), fontsize=11, fontweight="bold", color=INK, va="center", parse_math=False)
        top += 0.26
    page.text(0.02, top, _sentence(view), fontsize=9, color=INK, va="center", parse_math=False)
    if other is not None:
        verdict = f"This is {names[0]}. {_agreement(routed[row], other[row], partners, names[1])}"
    else:
        verdict = _verdict(view, moved, applied, None if here else acts_on)
    page.text(0.02, top + 0.19, verdict, fontsize=8, color=_OTHER if moved else MUTED, va="center", parse_math=False)
    top = head + 0.12
    _caption(page, top, f"The text in layer {trace.layers[row]}", _legend(routed[row]))
    _draw_text(page, top + 0.14, lines, view, changed[row])
    top += 0.14 + text + 0.28
    marks = "one column per token, one row per layer" + (
        "; an edge above: other experts" if reference is not None else ""
    )
    _caption(page, top, "Every layer", marks)
    top += 0.14
    place = (_LEFT / WIDEST, 1 - (top + grid) / height, 1 - (_LEFT + 0.06) / WIDEST, grid / height)
    _draw_grid(figure.add_axes(place, label="grid"), view, changed)

    top += grid + 0.28
    mean = trace.n_tokens * routed[row].experts.shape[-1] / trace.n_experts
    load = np.bincount(routed[row].experts.ravel(), minlength=trace.n_experts)
    lost = f", {routed[row].dropped.sum()} dropped" if view.knobs.capacity else ""
    note = f"tokens per expert; max/mean {load.max() / mean:.2f}{lost}"
    _caption(page, top, f"Load in layer {trace.layers[row]}", note, size=8)
    piece = _shown(trace.pieces[pinned])
    _caption(page, top, f"Scores of “{piece}”", _score_note(view), left=WIDEST / 2 + 0.12, size=8)
    wide = (WIDEST / 2 - 0.36) / WIDEST
    low = 1 - (top + 0.2 + bars) / height
    left = clean(figure.add_axes((0.06 / WIDEST, low, wide - 0.12 / WIDEST, bars / height), label="load"), grid="")
    right = clean(figure.add_axes((0.5 + 0.34 / WIDEST, low, wide, bars / height), label="scores"), grid="")
    _draw_load(left, view, load, mean)
    _draw_scores(right, view)
    busy = ", ".join(f"expert {expert} {load[expert]}" for expert in np.argsort(-load, kind="stable")[:4])
    figure.alt = f"{_sentence(view)} {verdict} The text of {trace.n_tokens} tokens is colored by expert; below it "
    figure.alt += f"{trace.n_layers} layers of choices; load, {note}: {busy} and others."
    return figure


class _Still(NamedTuple):
    """What all parts of the picture draw from."""

    trace: RoutingTrace
    routed: Sequence[Routed]  # one per layer
    row: int
    pinned: int
    colors: list[str]
    highlight: int | None
    knobs: Knobs  # of the drawn layer


def _changed(mine: Routed, theirs: Routed, partners: np.ndarray | None) -> np.ndarray:
    """Which tokens go somewhere else, not only to more or fewer experts."""
    known = np.ones(len(mine.experts), bool) if partners is None else partners >= 0
    there = theirs.experts if partners is None else theirs.experts[np.maximum(partners, 0)]
    same = (mine.experts[:, :, None] == there[:, None, :]).sum(axis=(1, 2))
    return known & (same < min(mine.experts.shape[1], there.shape[1]))


def _agreement(mine: Routed, theirs: Routed, partners: np.ndarray, name: str) -> str:
    known = partners >= 0
    if not known.any():
        return f"No token has a counterpart in {name}."
    share = 1 - difference(mine.experts[None, known], theirs.experts[None, partners[known]])
    count = int(known.sum())
    over = "" if known.all() else f" for the {count} token{'s' if count > 1 else ''} that both have"
    return f"{_percent(share)} of this layer’s choices{over} agree with {name}."


def _caption(page: Axes, y: float, bold: str, rest: str, left: float = 0.02, size: float = 8.5) -> None:
    first = page.text(left, y, bold, fontsize=size, fontweight="bold", color=INK, va="center", parse_math=False)
    page.annotate(
        rest,
        (1, 0.5),
        xycoords=first,
        xytext=(5, 0),
        textcoords="offset points",
        fontsize=size - 0.5,
        color=MUTED,
        va="center",
        annotation_clip=False,
        parse_math=False,
    )


def _legend(routed: Routed) -> str:
    if routed.experts.shape[-1] == 1:
        return "colored by each token’s expert"
    return "colored by each token’s first expert, underlined by its second"


def _score_note(view: _Still) -> str:
    biased = np.ptp(view.trace.bias[view.row]) or view.knobs.bias
    return "filled: chosen, × its weight; dashed: the bias" if biased else "filled: chosen, × its weight"


def _sentence(view: _Still) -> str:
    routed, token = view.routed[view.row], view.pinned
    choices = zip(routed.experts[token], routed.weights[token], routed.dropped[token], strict=True)
    parts = [f"{expert} ({'dropped' if lost else format(weight, '.2f')})" for expert, weight, lost in choices]
    goal = f"expert {parts[0]}" if len(parts) == 1 else f"experts {', '.join(parts[:-1])} and {parts[-1]}"
    return f"Layer {view.trace.layers[view.row]}: “{_shown(view.trace.pieces[token])}” goes to {goal}."


def _verdict(view: _Still, moved: bool, applied: bool, elsewhere: int | None) -> str:
    if not moved:
        return "This is what the model did."
    if elsewhere is not None and not applied:
        return f"What if: untouched here; the knobs act on layer {elsewhere} only."
    own = view.trace.experts
    share = sum(difference(mine.experts[None], own[None, row]) for row, mine in enumerate(view.routed)) / len(own)
    dropped = view.routed[view.row].dropped
    drops = f" {dropped.sum()} of {dropped.size} choices found no slot." if dropped.any() else ""
    start = "Applied: in the model, " if applied else "What if: "
    if share == 0:
        return f"{start}every choice is still the model’s own{'.' if drops else '; only the weights changed.'}{drops}"
    return f"{start}{_percent(share)} of all choices differ from the model’s own.{drops}"


def _percent(share: float) -> str:
    if share == 0:
        return "0%"
    return "under 1%" if share < 0.01 else f"{99 if 0.99 < share < 1 else math.floor(100 * share + 0.5)}%"


def difference(experts: np.ndarray, own: np.ndarray) -> float:
    """The share of choices that only one of two routings `[layers, tokens, top_k]` made."""
    if not own.size:
        return 0.0
    same = (experts[..., :, None] == own[..., None, :]).sum()
    return 1 - same / (own.shape[0] * own.shape[1] * max(experts.shape[-1], own.shape[-1]))


def _shown(piece: str) -> str:
    return "".join(sign if sign == " " else printable(sign) for sign in piece).replace(r"\$", "$")


def _wrap(trace: RoutingTrace, width: int, pinned: int) -> list[list[tuple[int, int, str]]]:
    """Lines of (token, first column, text); at most _MOST_LINES, so chosen that the pinned token is on one of them."""
    lines: list[list[tuple[int, int, str]]] = [[]]
    column = 0
    for token, piece in enumerate(trace.pieces):
        text = _shown(piece)[:width] or " "
        if column and (column + len(text) > width or (token and trace.sequence[token] != trace.sequence[token - 1])):
            lines.append([])
            column = 0
        lines[-1].append((token, column, text))
        column += len(text)
        if piece.endswith("\n") and token < trace.n_tokens - 1:
            lines.append([])
            column = 0
    last = next(number for number, line in enumerate(lines) if any(token == pinned for token, *_ in line))
    first = max(0, last - _MOST_LINES + 1)
    return lines[first : first + _MOST_LINES]


def _faded(color: str | tuple, amount: float) -> tuple[float, ...]:
    return tuple(1 - amount * (1 - channel) for channel in to_rgb(color))


def _draw_text(page: Axes, top: float, lines: list, view: _Still, changed: np.ndarray) -> None:
    routed, trace, colors = view.routed[view.row], view.trace, view.colors
    for number, line in enumerate(lines):
        y = top + number * _LINE
        for token, column, text in line:
            x, width = 0.02 + column * _SIGN, len(text) * _SIGN
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
                        x + (offset + 0.45) * _SIGN,
                        y + 0.088,
                        sign,
                        fontsize=7.4,
                        family="DejaVu Sans Mono",
                        ha="center",
                        va="center_baseline",
                        color=MUTED if blank or sign in "↵→" or not inside else INK,
                        parse_math=False,
                    )


def _draw_grid(axis: Axes, view: _Still, changed: Sequence[np.ndarray]) -> None:
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
                ink = "white" if _luminance(picture[at, 4, t]) < 0.3 else INK
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


def _luminance(color: np.ndarray) -> float:
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _draw_load(axis: Axes, view: _Still, load: np.ndarray, mean: float) -> None:
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


def _draw_scores(axis: Axes, view: _Still) -> None:
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


def _number(axis: Axes, view: _Still) -> None:
    """Number the experts; with their bias below, and in brackets where they are off."""
    n, knobs = view.trace.n_experts, view.knobs
    ticks = range(0, n, 1 if n <= 24 else 4 if n <= 40 else 8)

    def name(expert: int) -> str:
        number = f"({expert})" if expert in knobs.off else str(expert)
        return f"{number}\n{knobs.bias[expert]:+.3g}" if knobs.bias and knobs.bias[expert] else number

    axis.set_xticks(ticks, [name(expert) for expert in ticks])
    axis.tick_params(axis="x", labelsize=7.5 if n <= 16 else 6.5, pad=2)
    axis.spines["bottom"].set_color(RULE)
