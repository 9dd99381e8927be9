"""How close a prediction came, and what many of them say about whoever made them; `rule.js` has the same rules."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from moe_lessons.predictions.answer import Answer
from moe_lessons.predictions.question import Question

_ROUNDING = 1e-9  # 0.3 is within 0.1 of 0.2


def distance(question: Question, answer: float, measured: float) -> float:
    """How far an answer is from the measurement, in units of what is still right: up to 1 it is right.

    A choice beside the right one is 2 away, one further off 4, as far as choices have an order; otherwise 2.
    """
    if question.kind == "choice":
        apart = abs(answer - measured) if question.cuts else float(answer != measured)
        return 2.0 * apart
    if question.factor:
        if measured <= 0:
            return math.inf
        return abs(math.log(answer / measured)) / math.log(question.factor)
    return abs(answer - measured) / question.within


def is_right(question: Question, answer: float, measured: float) -> bool:
    return distance(question, answer, measured) <= 1 + _ROUNDING


class Calibration(NamedTuple):
    """What the answers to some questions, those that were measured, add up to."""

    asked: int
    answered: int
    right: int
    sure: int
    sure_right: int
    late: int
    too_high: int  # of the numbers that were not right
    too_low: int
    surprise: str  # the key of the answer that was furthest off; empty where all were right


def calibration(
    questions: Mapping[str, Question], answers: Mapping[str, Answer], measured: Mapping[str, float]
) -> Calibration:
    """Count the answers whose measurement is known. Of two that are equally far off, the sure one surprises more."""
    counted = [answers[key] for key in questions if key in answers and key in measured]
    off = {one.key: distance(questions[one.key], one.answer, measured[one.key]) for one in counted}
    right = {key for key, far in off.items() if far <= 1 + _ROUNDING}
    wrong = [one for one in counted if one.key not in right]
    scaled = [one for one in wrong if questions[one.key].kind != "choice"]
    furthest = max(wrong, key=lambda one: (off[one.key], one.sure), default=None)
    return Calibration(
        asked=len(questions),
        answered=len(counted),
        right=len(right),
        sure=sum(one.sure for one in counted),
        sure_right=sum(one.sure and one.key in right for one in counted),
        late=sum(one.late for one in counted),
        too_high=sum(one.answer > measured[one.key] for one in scaled),
        too_low=sum(one.answer < measured[one.key] for one in scaled),
        surprise=furthest.key if furthest else "",
    )
