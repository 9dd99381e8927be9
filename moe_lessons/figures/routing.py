"""The still picture of RouterView: a text, a bin for each expert, and the ribbons between them in one layer."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.routing_bins import bin_panel, shut_groups
from moe_lessons.figures.routing_parts import LINE, Still, chips_of, ribbon_panel, stack_panel, text_panel
from moe_lessons.figures.style import INK, MUTED, WIDEST, clean, new_figure, printable
from moe_lessons.tracing.opening import telling_layer, telling_token
from moe_lessons.tracing.rule import Knobs, Routed
from moe_lessons.tracing.trace import RoutingTrace

_MOST_LINES = 6
_LEFT = 1.16  # inches: room for the layers
_FALL, _BIN = 1.5, 0.62  # inches in which ribbons run, and of a bin
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
    """One layer's text, the bins of its experts and the ribbons between them, beside a strip of every layer.

    `routed` holds each layer's choices to draw, by default the model's own; `moved` says that they are not, `knobs`
    what they follow, in the layer numbered `acts_on` or in all, `applied` that the model itself made them. `layer` is
    its number in the model, `pinned` a token's index (by default those that a view opens on). `other` is another
    trace's routing, whose tokens `partners` finds; `names` are short ones for both.
    """
    layer = telling_layer(trace) if layer is None else layer
    row = trace.row(layer)
    pinned = telling_token(trace, layer) if pinned is None else pinned
    routed = trace.routed() if routed is None else routed
    knobs = trace.knobs if knobs is None else knobs
    here = acts_on in (None, trace.layers[row])
    view = Still(trace, routed, row, pinned, expert_colors(trace.n_experts), highlight, knobs if here else trace.knobs)
    reference = trace.routed() if moved and other is None else other
    changed = np.zeros(trace.n_tokens, bool)
    if reference is not None:
        changed = _changed(routed[row], reference[row], partners)
    chips = chips_of(trace, WIDEST - _LEFT - 0.06, pinned, _MOST_LINES, _shown)
    n_lines = max(chip.line for chip in chips) + 1
    top = 0.12 + 0.28 * bool(title)
    foot = top + n_lines * LINE
    mouth = foot + _FALL
    below = 0.24 + 0.14 * bool(knobs.bias) + 0.2 * (knobs.n_groups > 1)
    height = mouth + _BIN + below + 0.5
    figure = new_figure(WIDEST, height)
    figure.set_layout_engine("none")
    page = figure.add_axes((0, 0, 1, 1), label="text")
    page.set(xlim=(0, WIDEST), ylim=(height, 0))
    page.axis("off")
    if title:
        page.text(0.04, 0.2, _shown(title), fontsize=11, fontweight="bold", color=INK, va="center", parse_math=False)

    n = trace.n_experts
    step = (WIDEST - _LEFT - 0.06) / n
    edges = [(_LEFT + (expert + 0.1) * step, 0.8 * step) for expert in range(n)]
    ranks = ribbon_panel(page, _LEFT, top, foot, mouth, chips, edges, view)
    text_panel(page, _LEFT, top, chips, view, changed)
    place = (_LEFT / WIDEST, 1 - (mouth + _BIN) / height, n * step / WIDEST, _BIN / height)
    load = np.bincount(routed[row].experts.ravel(), minlength=n)
    bin_panel(clean(figure.add_axes(place, label="bins"), grid=""), view, load)
    each = min(0.42, (mouth + _BIN - top) / trace.n_layers)
    place = (0.08 / WIDEST, 1 - (top + each * trace.n_layers) / height, (_LEFT - 0.24) / WIDEST)
    stack_panel(figure.add_axes((*place, each * trace.n_layers / height), label="layers"), view)

    if other is not None and partners is not None:
        verdict = f"This is {names[0]}. {_agreement(routed[row], other[row], partners, names[1])}"
    else:
        verdict = _verdict(view, moved, applied, None if here else acts_on)
    shut = shut_groups(view)
    verdict += f" Shut out for it: group{'s' * (len(shut) > 1)} {', '.join(map(str, shut))}." if shut else ""
    if len(chips) < trace.n_tokens:
        verdict += f" Ribbons of {len(chips)} of {trace.n_tokens} tokens."
    elif ranks < routed[row].experts.shape[1]:
        verdict += f" Each token’s first {ranks} ribbons."
    y = mouth + _BIN + below + 0.1
    page.text(0.04, y, _sentence(view), fontsize=_fit(_sentence(view)), color=INK, va="center", parse_math=False)
    size = min(8.0, _fit(verdict))
    page.text(0.04, y + 0.2, verdict, fontsize=size, color=_OTHER if moved else MUTED, va="center", parse_math=False)
    figure.alt = _alt(view, verdict, load)
    return figure


def _fit(words: str) -> float:
    """A size of letters at which words fit the page, in points."""
    return max(5.0, min(9.0, 9.0 * 118 / max(1, len(words))))


def _alt(view: Still, verdict: str, load: np.ndarray) -> str:
    busy = ", ".join(f"expert {expert} {load[expert]}" for expert in np.argsort(-load, kind="stable")[:4])
    trace = view.trace
    text = f"{_sentence(view)} {verdict} Ribbons run from {trace.n_tokens} tokens to the bins of {trace.n_experts} "
    text += f"experts in layer {trace.layers[view.row]}; tokens in the fullest bins: {busy}. At the side "
    return text + f"{trace.n_layers} layer{'s' * (trace.n_layers > 1)} as strips of each token’s first expert."


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
    tokens = f"{count} token{'s' * (count > 1)}"
    over = f"for all {tokens}" if known.all() else f"for the {tokens} that both have"
    return f"{_percent(share)} of this layer’s choices {over} agree with {name}."


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
