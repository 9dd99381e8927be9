"""The still picture of RouterView: text, every layer, expert load and one token's scores."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.routing_parts import LINE, SIGN, Still, grid_panel, load_panel, score_panel, text_panel
from moe_lessons.figures.style import INK, MUTED, WIDEST, clean, new_figure, printable
from moe_lessons.tracing.rule import Knobs, Routed
from moe_lessons.tracing.trace import RoutingTrace

_MOST_LINES = 8
_LEFT = 0.55  # inches: room for the layers' names
_OTHER = "#D55E00"  # what the model did not do


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
    view = Still(trace, routed, row, pinned, expert_colors(trace.n_experts), highlight, knobs if here else trace.knobs)
    reference = trace.routed() if moved and other is None else other
    changed = [
        np.zeros(trace.n_tokens, bool) if reference is None else _changed(mine, theirs, partners)
        for mine, theirs in zip(routed, routed if reference is None else reference, strict=True)
    ]
    lines = _wrap(trace, int((WIDEST - 0.1) / SIGN), pinned)
    cell = 0.19 if trace.n_layers <= 8 else 1.6 / trace.n_layers
    head, text, grid, bars = 0.56 + 0.24 * bool(title), len(lines) * LINE, trace.n_layers * cell, 1.15
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
    if other is not None and partners is not None:
        verdict = f"This is {names[0]}. {_agreement(routed[row], other[row], partners, names[1])}"
    else:
        verdict = _verdict(view, moved, applied, None if here else acts_on)
    page.text(0.02, top + 0.19, verdict, fontsize=8, color=_OTHER if moved else MUTED, va="center", parse_math=False)
    top = head + 0.12
    _caption(page, top, f"The text in layer {trace.layers[row]}", _legend(routed[row]))
    text_panel(page, top + 0.14, lines, view, changed[row])
    top += 0.14 + text + 0.28
    marks = "one column per token, one row per layer" + (
        "; an edge above: other experts" if reference is not None else ""
    )
    _caption(page, top, "Every layer", marks)
    top += 0.14
    place = (_LEFT / WIDEST, 1 - (top + grid) / height, 1 - (_LEFT + 0.06) / WIDEST, grid / height)
    grid_panel(figure.add_axes(place, label="grid"), view, changed)

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
    load_panel(left, view, load, mean)
    score_panel(right, view)
    busy = ", ".join(f"expert {expert} {load[expert]}" for expert in np.argsort(-load, kind="stable")[:4])
    figure.alt = f"{_sentence(view)} {verdict} The text of {trace.n_tokens} tokens is colored by expert; below it "
    figure.alt += f"{trace.n_layers} layers of choices; load, {note}: {busy} and others."
    return figure


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


def _score_note(view: Still) -> str:
    biased = np.ptp(view.trace.bias[view.row]) or view.knobs.bias
    return "filled: chosen, × its weight; dashed: the bias" if biased else "filled: chosen, × its weight"


def _sentence(view: Still) -> str:
    routed, token = view.routed[view.row], view.pinned
    choices = zip(routed.experts[token], routed.weights[token], routed.dropped[token], strict=True)
    parts = [f"{expert} ({'dropped' if lost else format(weight, '.2f')})" for expert, weight, lost in choices]
    goal = f"expert {parts[0]}" if len(parts) == 1 else f"experts {', '.join(parts[:-1])} and {parts[-1]}"
    return f"Layer {view.trace.layers[view.row]}: “{_shown(view.trace.pieces[token])}” goes to {goal}."


def _verdict(view: Still, moved: bool, applied: bool, elsewhere: int | None) -> str:
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
