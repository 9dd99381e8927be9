"""Slots and who sits in them: the still picture of DropView."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.style import INK, MUTED, WIDEST, new_figure, printable

_LOST = "#D55E00"  # what is dropped
_ROW = 0.155  # inches: one slot, one line of text
_SIGN = 0.0575  # inches: one sign of the text
_NAME = 1.05  # inches: room for the texts' names


def draw_slots(
    pieces: Sequence[str],
    texts: Sequence[tuple[str, Int[np.ndarray, " tokens"]]],
    lines: Sequence[Int[np.ndarray, " choices"]],
    top_k: int,
    slots: int | None,
    title: str = "",
) -> Figure:
    """The texts of a batch in their order, and below them each expert's slots, filled, empty or overrun.

    `lines[expert]` holds that expert's choices `token * top_k + rank` in the order of service; no `slots`, no limit.
    """
    lost = np.zeros(len(pieces), int)
    for line in lines:
        np.add.at(lost, line[slots:] // top_k if slots is not None else line[:0], 1)
    longest = max(len(line) for line in lines)
    rows = max(longest, slots or 0)
    rows_of_text = [_wrapped(pieces, tokens) for _, tokens in texts]
    text = sum(len(each) for each in rows_of_text) * _ROW * 1.25 + 0.08 * len(texts)
    height = 0.32 + text + 0.3 + (rows + 1.2) * _ROW + 0.25
    figure = new_figure(WIDEST, height)
    figure.set_layout_engine("none")
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, WIDEST), ylim=(height, 0))
    page.axis("off")
    page.text(0.02, 0.14, title, fontsize=9.5, color=INK, va="center", parse_math=False)

    top = 0.34
    for (name, _), wrapped in zip(texts, rows_of_text, strict=True):
        page.text(0.02, top + _ROW * 0.6, name, fontsize=8, color=MUTED, va="center", parse_math=False)
        for line in wrapped:
            for token, left, shown in line:
                _draw_chip(page, shown, _NAME + left * _SIGN, top, int(lost[token]), top_k)
            top += _ROW * 1.25
        top += 0.08
    dropped = int(lost.sum())
    padded = sum(max(0, slots - len(line)) for line in lines) if slots is not None else 0
    limit = "no limit" if slots is None else f"{slots} slot{'s' * (slots != 1)} an expert"
    choices = sum(len(line) for line in lines)
    marks = "; struck out: all its choices dropped" if (lost == top_k).any() else ""
    marks += "; hatched: some of them" if ((lost > 0) & (lost < top_k)).any() else ""
    words = f"{limit}: {dropped} of {choices} choices dropped, {padded} slots empty{marks}"
    page.text(0.02, top + 0.1, words, fontsize=8, color=MUTED, va="center")
    _draw_columns(page, pieces, lines, top_k, slots, rows, top + 0.24)
    figure.alt = f"{title}. {len(lines)} experts with their queues of tokens; {words}. "
    figure.alt += f"Queues: {', '.join(f'expert {expert} {len(line)}' for expert, line in enumerate(lines))}."
    return figure


def _wrapped(pieces: Sequence[str], tokens: Iterable[int]) -> list[list[tuple[int, int, str]]]:
    """Lines of (token, column, text)."""
    most, lines, column = int((WIDEST - _NAME - 0.05) / _SIGN), [[]], 0
    for token in tokens:
        shown = printable(pieces[token]).replace(r"\$", "$")[:most]
        if column + len(shown) > most:
            lines.append([])
            column = 0
        lines[-1].append((int(token), column, shown))
        column += len(shown) + 0.35
    return lines


def _draw_chip(page: Axes, shown: str, x: float, y: float, lost: int, top_k: int) -> None:
    width, height = len(shown) * _SIGN + 0.01, _ROW * 1.02
    face, hatch = ("#F7D9C6", None) if lost == top_k else ("white", "//////") if lost else ("#EFEFEF", None)
    page.add_patch(Rectangle((x, y), width, height, fc=face, ec="#F0BFA0" if hatch else face, hatch=hatch, lw=0))
    style = {"family": "DejaVu Sans Mono", "fontsize": 6.8, "ha": "center", "va": "center", "parse_math": False}
    page.text(x + width / 2, y + height / 2, shown, color=INK, **style)
    if lost == top_k:
        page.plot([x, x + width], [y + height / 2] * 2, color=_LOST, linewidth=1.2)


def _draw_columns(
    page: Axes,
    pieces: Sequence[str],
    lines: Sequence[Int[np.ndarray, " choices"]],
    top_k: int,
    slots: int | None,
    rows: int,
    top: float,
) -> None:
    width = (WIDEST - 0.04) / len(lines)
    fits = int((width - 0.04) / 0.052)
    style: dict[str, Any] = {
        "family": "DejaVu Sans Mono",
        "fontsize": 6.2,
        "ha": "center",
        "va": "center",
        "parse_math": False,
    }
    for expert, (line, color) in enumerate(zip(lines, expert_colors(len(lines)), strict=True)):
        x, middle = 0.02 + expert * width, 0.02 + (expert + 0.5) * width
        page.add_patch(Rectangle((x + 0.01, top), width - 0.02, _ROW * 0.9, fc=color, lw=0))
        if width > 0.15:
            page.text(
                middle, top + _ROW * 0.45, str(expert), color="white", fontweight="bold", **dict(style, fontsize=7)
            )
        for place in range(max(len(line), slots or 0)):
            over = slots is not None and place >= slots
            y = top + (place + 1.05 + 0.3 * over) * _ROW
            if place >= len(line):
                face, alpha, edge, dashes = "none", 1.0, "#BBBBBB", (0, (2, 2))
            else:
                face, edge, dashes = (_LOST, _LOST, "-") if over else (color, "none", "-")
                alpha = 0.16 if over else 0.24 if line[place] % top_k else 0.5
            shape = (x + 0.01, y), width - 0.02, _ROW * 0.86
            page.add_patch(Rectangle(*shape, fc=face, alpha=alpha if face != "none" else None, lw=0))
            if edge != "none":
                page.add_patch(Rectangle(*shape, fc="none", ec=edge, lw=0.6, ls=dashes))
            if place < len(line) and fits > 1:
                shown = printable(pieces[int(line[place] // top_k)]).replace(r"\$", "$")[:fits]
                page.text(middle, y + _ROW * 0.43, shown, color=INK, **style)
                if over:
                    page.plot([x + 0.04, x + width - 0.04], [y + _ROW * 0.43] * 2, color=_LOST, linewidth=0.9)
    if slots is not None:
        page.axhline(top + (slots + 1.14) * _ROW, color=_LOST, linewidth=1.4)
