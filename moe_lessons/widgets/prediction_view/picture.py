"""Predictions on paper: what was asked, what was measured, and what somebody had said before."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, RULE, WIDEST, new_figure

_LINE = 0.2  # inches
_ANSWER, _MEASURED = PALETTE[0], PALETTE[3]


def draw_predictions(
    questions: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
) -> Figure:
    """Each question in bold; below it what was measured and predicted, in words and, for a number, on its scale."""
    lines: list[tuple[str, str, str]] = []
    scales: list[tuple[int, Mapping[str, Any]]] = []  # the line on which each one is drawn
    spoken = []
    for one in questions:
        key = one["key"]
        measure = one["measure"][:1].upper() + one["measure"][1:]
        fact = f"{measure}: {measured[key]['shown']}" if key in measured else ""
        own = f"Predicted: {answers[key]['shown']}" if key in answers else ""
        lines += [(part, INK, "bold") for part in _wrapped(one["ask"])]
        lines += [(f"◆  {part}", _MEASURED, "normal") for part in _wrapped(fact)]
        lines += [(f"○  {part}", _ANSWER, "normal") for part in _wrapped(own)]
        if not (fact or own):
            lines += [("not measured yet", MUTED, "normal")]
        elif one["kind"] != "choice":
            scales.append((len(lines), one))
            lines += [("", INK, "normal")] * 2
        spoken += [part if part[-1] in ".?!" else f"{part}." for part in (one["ask"], fact, own) if part]
    height = _LINE * (len(lines) + 1.5)
    figure = new_figure(WIDEST, height)
    figure.set_layout_engine("none")  # every line has its place
    for row, (text, color, weight) in enumerate(lines):
        y = 1 - _LINE * (row + 1) / height
        figure.text(0.02, y, text, color=color, fontweight=weight, fontsize=9, parse_math=False)
    for row, one in scales:
        _draw_scale(figure, 1 - _LINE * (row + 1.4) / height, _LINE / height, one, answers, measured)
    figure.alt = " ".join(spoken)
    return figure


def _draw_scale(
    figure: Figure,
    bottom: float,
    tall: float,
    one: Mapping[str, Any],
    answers: Mapping[str, Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
) -> None:
    """A question's scale from edge to edge: a diamond for the measurement, a ring for the answer."""
    axis = figure.add_axes((0.04, bottom, 0.92, tall))
    axis.axis("off")
    axis.set(xlim=(-0.02, 1.02), ylim=(-1, 1))
    axis.plot([0, 1], [0, 0], color=RULE, linewidth=1.5)
    if one["key"] in measured:
        axis.plot(_at(one, measured[one["key"]]["place"]), 0, "D", color=_MEASURED, markersize=7)
    if one["key"] in answers:
        axis.plot(_at(one, answers[one["key"]]["answer"]), 0, "o", color=_ANSWER, markersize=10, fillstyle="none")
    for place, value, side in ((0, one["low"], "left"), (1, one["high"], "right")):
        axis.text(place, -2.2, f"{value:,g}", fontsize=7, color=MUTED, ha=side, va="center")


def _at(one: Mapping[str, Any], value: float) -> float:
    """Where a value lies on the question's scale, from 0 to 1; `rule.js` has the same."""
    low, high = one["low"], one["high"]
    if one["log"]:
        value, low, high = (math.log(max(number, low)) for number in (value, low, high))
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, width=92)
