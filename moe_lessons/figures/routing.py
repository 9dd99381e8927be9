"""The still picture of RouterView: text, every layer, expert load and one token's scores."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, clean, new_figure, printable
from moe_lessons.tracing.rule import Routed
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
    routed: Routed | None = None,
    moved: bool = False,
    highlight: int | None = None,
    title: str = "",
) -> Figure:
    """One layer's text, load and scores, with the choices of every layer between them.

    `routed` holds the choices to draw, by default the model's own; `moved` says that they are not. `layer` is its
    number in the model, `pinned` a token's index (by default the last).
    """
    row = 0 if layer is None else trace.row(layer)
    pinned = trace.n_tokens - 1 if pinned is None else pinned
    if routed is None:
        from moe_lessons.tracing.rule import route

        rule = route(
            trace.logits,
            trace.bias[:, None],
            trace.top_k,
            trace.score_function,
            trace.normalize,
            trace.route_scale,
        )
        routed = rule._replace(weights=trace.weights, experts=trace.experts)
    colors = expert_colors(trace.n_experts)
    lines = _wrap(trace, int((WIDEST - 0.1) / _SIGN), pinned)
    cell = 0.19 if trace.n_layers <= 8 else 1.6 / trace.n_layers
    head, text, grid, bars = 0.56 + 0.24 * bool(title), len(lines) * _LINE, trace.n_layers * cell, 1.15
    height = head + 0.24 + text + 0.42 + grid + 0.5 + bars + 0.3
    figure = new_figure(WIDEST, height)
    figure.set_layout_engine("none")
    page = figure.add_axes((0, 0, 1, 1), label="text")
    page.set(xlim=(0, WIDEST), ylim=(height, 0))
    page.axis("off")

    top = 0.2
    if title:
        page.text(0.02, top, _shown(title), fontsize=11, fontweight="bold", color=INK, va="center", parse_math=False)
        top += 0.26
    page.text(0.02, top, _sentence(trace, routed, row, pinned), fontsize=9, color=INK, va="center", parse_math=False)
    page.text(
        0.02, top + 0.19, _verdict(trace, routed, moved), fontsize=8, color=_OTHER if moved else MUTED, va="center"
    )
    top = head + 0.12
    _caption(page, top, f"The text in layer {trace.layers[row]}", _legend(routed))
    _draw_text(page, top + 0.14, lines, trace, routed, row, pinned, colors, highlight)
    top += 0.14 + text + 0.28
    _caption(page, top, "Every layer", "one column per token, one row per layer")
    top += 0.14
    place = (_LEFT / WIDEST, 1 - (top + grid) / height, 1 - (_LEFT + 0.06) / WIDEST, grid / height)
    _draw_grid(figure.add_axes(place, label="grid"), trace, routed, row, pinned, colors, highlight)

    top += grid + 0.28
    n, tokens = trace.n_experts, trace.n_tokens
    load = np.bincount(routed.experts[row].ravel(), minlength=n)
    mean = tokens * routed.experts.shape[-1] / n
    _caption(
        page, top, f"Load in layer {trace.layers[row]}", f"tokens per expert; max/mean {load.max() / mean:.2f}", size=8
    )
    piece = _shown(trace.pieces[pinned])
    _caption(page, top, f"Scores of “{piece}”", _score_note(trace, row), left=WIDEST / 2 + 0.12, size=8)
    wide = (WIDEST / 2 - 0.36) / WIDEST
    low = 1 - (top + 0.2 + bars) / height
    left = clean(figure.add_axes((0.06 / WIDEST, low, wide - 0.12 / WIDEST, bars / height), label="load"), grid="")
    right = clean(figure.add_axes((0.5 + 0.34 / WIDEST, low, wide, bars / height), label="scores"), grid="")
    _draw_load(left, load, mean, colors, highlight)
    _draw_scores(right, trace, routed, row, pinned, colors)
    return figure


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


def _score_note(trace: RoutingTrace, row: int) -> str:
    return "outlined: the bias, for choosing only" if np.ptp(trace.bias[row]) else "filled: chosen, with its weight"


def _sentence(trace: RoutingTrace, routed: Routed, row: int, token: int) -> str:
    parts = [
        f"{expert} ({weight:.2f})"
        for expert, weight in zip(routed.experts[row, token], routed.weights[row, token], strict=True)
    ]
    goal = f"expert {parts[0]}" if len(parts) == 1 else f"experts {', '.join(parts[:-1])} and {parts[-1]}"
    return f"Layer {trace.layers[row]}: “{_shown(trace.pieces[token])}” goes to {goal}."


def _verdict(trace: RoutingTrace, routed: Routed, moved: bool) -> str:
    if not moved:
        return "This is what the model did."
    share = difference(routed.experts, trace.experts)
    if share == 0:
        return "What if: every choice is still the model’s own; only the weights changed."
    words = "under 1%" if share < 0.01 else f"{99 if 0.99 < share < 1 else math.floor(100 * share + 0.5)}%"
    return f"What if: {words} of all choices differ from the model’s own."


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


def _draw_text(page, top, lines, trace, routed, row, pinned, colors, highlight) -> None:
    for number, line in enumerate(lines):
        y = top + number * _LINE
        for token, column, text in line:
            x, width = 0.02 + column * _SIGN, len(text) * _SIGN
            experts, weights = routed.experts[row, token], routed.weights[row, token]
            inside = highlight is None or highlight in experts
            strength = weights[0] / weights.sum() if weights.sum() > 0 else 0
            blank = not trace.pieces[token].strip()
            shade = (0.16 + 0.44 * strength) * (0.55 if blank else 1) if inside else 0.06
            base = colors[experts[0]] if inside else MUTED
            page.add_patch(Rectangle((x, y), width - 0.012, 0.165, facecolor=_faded(base, shade), linewidth=0))
            if len(experts) > 1 and inside:
                underline = Rectangle((x, y + 0.165), width - 0.012, 0.028, facecolor=colors[experts[1]], linewidth=0)
                page.add_patch(underline)
            if token == pinned:
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


def _draw_grid(axis: Axes, trace, routed, row, pinned, colors, highlight) -> None:
    """Each cell is six thin rows of pixels: four of the first expert, one of the second, one empty."""
    layers, tokens, top_k = routed.experts.shape
    table = np.array([to_rgb(color) for color in colors])
    picture = np.ones((layers, 6, tokens, 3))
    picture[:, :4] = table[routed.experts[:, None, :, 0]]
    picture[:, 4] = table[routed.experts[..., min(1, top_k - 1)]]
    if highlight is not None:
        outside = ~(routed.experts == highlight).any(axis=-1)
        picture = np.where(outside[:, None, :, None], 1 - 0.12 * (1 - picture), picture)
    extent = (-0.5, tokens - 0.5, layers - 0.5, -0.5)
    axis.imshow(picture.reshape(layers * 6, tokens, 3), extent=extent, aspect="auto", interpolation="nearest")
    if tokens <= 110:
        axis.vlines(np.arange(tokens + 1) - 0.5, -0.5, layers - 0.5, color="white", linewidth=0.7)
    if tokens <= 64 and layers <= 8:
        for (at, t), expert in np.ndenumerate(routed.experts[..., 0]):
            ink = "white" if _luminance(picture[at, 0, t]) < 0.3 else INK
            axis.text(t, at - 0.13, str(expert), fontsize=6, ha="center", va="center", color=ink)
    axis.set(xlim=(-0.6, tokens - 0.4), ylim=(layers - 0.45, -0.55), xticks=[])
    axis.set_yticks(range(layers), [f"layer {number}" for number in trace.layers], fontsize=7.5)
    axis.tick_params(length=0, pad=2, labelcolor=MUTED)
    axis.get_yticklabels()[row].set(color=INK, fontweight="bold")
    for side in axis.spines.values():
        side.set_visible(False)
    wide, line = {"fill": False, "edgecolor": INK, "clip_on": False}, 1.1
    axis.add_patch(Rectangle((-0.5, row - 0.5), tokens, 0.92, linewidth=line, **wide))
    axis.add_patch(Rectangle((pinned - 0.5, -0.56), 1, layers + 0.06, linewidth=line, **wide))


def _luminance(color: np.ndarray) -> float:
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _draw_load(axis: Axes, load, mean, colors, highlight) -> None:
    n = len(load)
    faces = [colors[e] if highlight in (None, e) else _faded(colors[e], 0.3) for e in range(n)]
    axis.bar(range(n), load, width=0.72, color=faces)
    axis.axhline(mean, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    axis.annotate(
        f"mean {mean:.3g}",
        (1, mean),
        xycoords=("axes fraction", "data"),
        xytext=(2, 0),
        textcoords="offset points",
        fontsize=7,
        color=MUTED,
        va="center",
        annotation_clip=False,
    )
    axis.set(xlim=(-0.6, n - 0.4), ylim=(0, max(load.max(), mean) * 1.18), yticks=[])
    if n <= 16:
        for expert, count in enumerate(load):
            axis.annotate(
                str(count), (expert, count), (0, 2), textcoords="offset points", fontsize=7, ha="center", color=MUTED
            )
    _number(axis, n)


def _draw_scores(axis: Axes, trace, routed, row, pinned, colors) -> None:
    n, scores = trace.n_experts, routed.scores[row, pinned]
    # Only differences between biases matter for a choice, and training may move them all together.
    bias = trace.bias[row] - trace.bias[row].min()
    chosen = dict(zip(routed.experts[row, pinned].tolist(), routed.weights[row, pinned].tolist(), strict=True))
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
            f"{weight:.2f}",
            (expert, max(scores[expert], wanted[expert])),
            (0, 2.5),
            textcoords="offset points",
            fontsize=7.5,
            fontweight="bold",
            ha="center",
            color=INK,
            rotation=0 if n <= 16 else 90,
        )
    bound = min(wanted[expert] for expert in chosen)
    axis.axhline(bound, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    axis.annotate(
        f"top {len(chosen)}",
        (1, bound),
        xycoords=("axes fraction", "data"),
        xytext=(2, 0),
        textcoords="offset points",
        fontsize=7,
        color=MUTED,
        va="center",
        annotation_clip=False,
    )
    axis.set_yticks([0, round(top, 2)])
    axis.tick_params(axis="y", labelsize=7)
    _number(axis, n)
    for label, expert in zip(axis.get_xticklabels(), axis.get_xticks(), strict=True):
        if expert in chosen:
            label.set(color=INK, fontweight="bold")


def _number(axis: Axes, n: int) -> None:
    axis.set_xticks(range(0, n, 1 if n <= 24 else 4 if n <= 40 else 8))
    axis.tick_params(axis="x", labelsize=7.5, pad=2)
    axis.spines["bottom"].set_color(RULE)
