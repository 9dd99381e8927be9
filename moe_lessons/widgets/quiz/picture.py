"""A quiz on paper: its questions and options, with no answer given away."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from moe_lessons.figures.style import WIDEST, new_figure

_LINE = 0.2  # inches


def draw_quiz(title: str, questions: Sequence[dict[str, Any]]) -> Figure:
    """The questions in order, each with its options behind empty circles."""
    lines = [(0.0, title, "bold")]
    for number, question in enumerate(questions, 1):
        lines.append((0.0, "", "normal"))
        lines += [(0.0, part, "bold") for part in _wrapped(f"{number}. {question['ask']}")]
        for option in question["options"]:
            first, *rest = _wrapped(option["text"])
            lines += [(0.2, f"○  {first}", "normal"), *((0.42, part, "normal") for part in rest)]
    height = _LINE * (len(lines) + 1)
    figure = new_figure(WIDEST, height)
    for row, (indent, text, weight) in enumerate(lines):
        # Text is shown as written: a dollar sign is no formula.
        figure.text(
            0.02 + indent / WIDEST,
            1 - _LINE * (row + 1) / height,
            text,
            fontweight=weight,
            fontsize=9,
            parse_math=False,
        )
    asked = " ".join(f"{number}. {question['ask']}" for number, question in enumerate(questions, 1)).replace("`", "")
    figure.alt = f"{title}. A quiz on paper, {len(questions)} questions with their options. {asked}"
    return figure


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text.replace("`", ""), width=92) or [""]
