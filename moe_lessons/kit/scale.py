"""A question's scale on a page: where a number lies between its ends, and what is written below it."""

import html
import math

from moe_lessons.predictions.question import Question, rounded, with_unit


def marks(question: Question) -> list[float]:
    """The numbers to write below the scale: both ends and, as far as there is room, round ones between."""
    low, high = question.low, question.high
    if question.log:
        decades = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        inner = [10.0**power for power in decades]
    else:
        size = 10.0 ** math.floor(math.log10(high - low))
        step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if (high - low) / (size * part) <= 6)
        inner = [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    kept = [low]
    for at in inner:
        if _apart(question, kept[-1], at) and _apart(question, at, high):
            kept.append(at)
    return [*kept, high]


def _apart(question: Question, left: float, right: float) -> bool:
    """Whether the labels of two marks have room beside each other."""
    letters = sum(len(with_unit(rounded(at), _short(question))) for at in (left, right))
    return question.share(right) - question.share(left) > 0.05 + 0.012 * letters


def scale(question: Question, band: tuple[float, float] | None = None, measured: float | None = None) -> str:
    """The scale as HTML, for a pen, or with the numbers that count as right and the one that was measured."""
    parts = ['<i class="line"></i>']
    if band:
        left, right = (question.share(each) * 100 for each in band)
        parts.append(f'<i class="band" style="left:{left:.1f}%;width:{max(right - left, 1.2):.1f}%"></i>')
    if measured is not None:
        parts.append(f'<i class="found" style="left:{question.share(measured) * 100:.1f}%"></i>')
    for at in marks(question):
        where = question.share(at) * 100
        parts.append(f'<i class="tick" style="left:{where:.1f}%"></i>')
        parts.append(f'<span style="left:{where:.1f}%">{html.escape(with_unit(rounded(at), _short(question)))}</span>')
    return f'<div class="scale">{"".join(parts)}</div>'


def _short(question: Question) -> str:
    return "%" if question.unit == "%" else ""


def right_band(question: Question, measured: float) -> tuple[float, float]:
    """The answers that count as right beside this measurement."""
    if question.factor:
        return measured / question.factor, measured * question.factor
    return measured - question.within, measured + question.within


def closeness(question: Question) -> str:
    """How close is right, in words; empty for a choice."""
    if question.kind == "choice":
        return ""
    if question.factor:
        return f"right within a factor of {rounded(question.factor)}"
    return f"right within {rounded(question.within)}{_short(question)}"


def range_of(question: Question) -> str:
    """The ends of the scale, in words."""
    return f"from {rounded(question.low)} to {with_unit(rounded(question.high), question.unit)}"
