"""Lesson 06's pictures: tokens on their way to the experts, sorted or multiplied into slots, and what slots waste."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.colors import expert_colors, ink_on
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
    printable,
)


def draw_dispatch(
    pieces: Sequence[str], experts: Int[np.ndarray, "tokens top_k"], n_experts: int, title: str = ""
) -> Figure:
    """Above, the tokens in the order of the text, with their choices; below, the same choices sorted by expert."""
    top_k, colors = experts.shape[1], expert_colors(n_experts)
    flat = experts.ravel()
    order = np.argsort(flat, kind="stable")
    figure = new_figure(WIDEST, 2.9)
    axis = figure.subplots()
    axis.axis("off")
    axis.set(xlim=(-0.2, len(flat) + 0.2), ylim=(6.1, -0.9))
    style = {"ha": "center", "va": "center", "parse_math": False}
    size = min(8.0, 310 / len(flat))

    for token, piece in enumerate(pieces):
        middle = (token + 0.5) * top_k
        shown = printable(piece).replace(r"\$", "$")
        axis.text(middle, 0, shown, fontsize=size, family="DejaVu Sans Mono", color=INK, **style)
        for rank, expert in enumerate(experts[token]):
            corner = token * top_k + rank + 0.08, 0.45
            axis.add_patch(Rectangle(corner, 0.84, 0.42, fc=colors[expert], lw=0))
    for place, choice in enumerate(order):
        color = colors[flat[choice]]
        axis.plot([choice + 0.5, place + 0.5], [0.9, 4.05], color=color, linewidth=1.1, alpha=0.75)
        axis.add_patch(Rectangle((place + 0.04, 4.1), 0.92, 0.8, fc=color, lw=0))
        shown = printable(pieces[int(choice // top_k)]).replace(r"\$", "$")[:4]
        ink = ink_on(color)
        axis.text(
            place + 0.5, 4.5, shown, fontsize=size * 0.8, family="DejaVu Sans Mono", color=ink, rotation=90, **style
        )
    end = 0
    for expert, count in enumerate(np.bincount(flat, minlength=n_experts)):
        if count:
            axis.plot([end + 0.06, end + count - 0.06], [5.1, 5.1], color=colors[expert], linewidth=2.5)
            axis.text(end + count / 2, 5.5, str(expert), fontsize=8, color=INK, **style)
        end += count
    idle = n_experts - len(set(flat.tolist()))
    note = f"experts, each with its tokens side by side ({idle} of {n_experts} have none)" if idle else "experts"
    axis.text(len(flat) / 2, 6.0, note, fontsize=8, color=MUTED, **style)
    heading(axis, title)
    most = int(np.bincount(flat, minlength=n_experts).argmax())
    figure.alt = f"{title}. {len(pieces)} tokens with {top_k} choices each; lines lead to the same choices sorted by "
    figure.alt += f"expert. {idle} of {n_experts} experts have none, expert {most} has {(flat == most).sum()}."
    return figure


def draw_send(send: Float[np.ndarray, "tokens columns"], n_experts: int, pieces: Sequence[str], title: str) -> Figure:
    """The table of zeros and ones that multiplies tokens into slots: a row for each token, a column for each slot."""
    tokens, columns = send.shape
    slots, colors = columns // n_experts, expert_colors(n_experts)
    figure = new_figure(WIDEST, 0.9 + 0.14 * tokens)
    axis = figure.subplots()
    for token, column in zip(*np.nonzero(send), strict=True):
        axis.add_patch(Rectangle((column + 0.04, token + 0.06), 0.92, 0.88, fc=colors[column // slots], lw=0))
    for expert in range(n_experts + 1):
        axis.axvline(expert * slots, color=RULE, linewidth=0.9)
    axis.set(xlim=(0, columns), ylim=(tokens, 0))
    axis.set_xticks(
        (np.arange(n_experts) + 0.5) * slots, [str(expert) for expert in range(n_experts)], fontsize=7.5, color=MUTED
    )
    shown = [printable(piece).replace(r"\$", "$") for piece in pieces]
    axis.set_yticks(np.arange(tokens) + 0.5, shown, fontsize=7, family="DejaVu Sans Mono")
    for label in axis.get_yticklabels():
        label.set_parse_math(False)
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_color(RULE)
    axis.set_xlabel(f"slots, {slots} for each expert", fontsize=8.5, color=MUTED)
    heading(axis, title)
    figure.alt = f"{title}. A table of {tokens} tokens by {n_experts} experts with {slots} slots each; "
    figure.alt += f"{np.count_nonzero(send)} of {send.size:,} places hold a one."
    return figure


def draw_waste(
    factors: Sequence[float], dropped: Mapping[str, Sequence[float]], padded: Mapping[str, Sequence[float]], title: str
) -> Figure:
    """Shares of choices dropped (full lines) and of slots left empty (dashed) over the capacity factor, by kind."""
    figure = new_figure(WIDEST, 3.0)
    axis = clean(figure.subplots())
    ends = []
    for color, kind in zip(PALETTE, dropped, strict=False):
        axis.plot(factors, dropped[kind], color=color, linewidth=2)
        axis.plot(factors, padded[kind], color=color, linewidth=1.4, linestyle=(0, (3, 2)))
        ends += [(factors[-1], padded[kind][-1], f"empty slots, {kind}", color)]
        ends += [(factors[-1], dropped[kind][-1], f"dropped, {kind}", color)]
    axis.axvline(1.0, color=RULE, linewidth=1)
    axis.set(xlim=(factors[0], factors[-1]), ylim=(0, None), xlabel="capacity factor")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    name_ends(axis, title, ends)
    return figure
