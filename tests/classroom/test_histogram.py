"""Histograms: every answer in one bin, and no measurement before half of the room has answered."""

import math

import pytest

from moe_lessons.classroom.histogram import BINS, histogram
from moe_lessons.classroom.room import Asked
from moe_lessons.predictions.question import lessons, questions_of

QUESTIONS = [one for lesson in lessons() for one in questions_of(lesson).values()]


def asked(*answers: float, late: int = 0) -> Asked:
    given = {str(i): (float(answer), False) for i, answer in enumerate(answers)}
    return Asked(0.0, given | {f"late {i}": (float(answers[0]), True) for i in range(late)})


def possible(one) -> list[float]:
    """Every answer that a question's widget gives, or many of them."""
    if one.kind == "choice":
        return [float(i) for i in range(len(one.choices))]
    steps = 100 if one.log else max(1, round((one.high - one.low) / one.step))
    if one.log:
        return [min(one.high, one.low * (one.high / one.low) ** (i / steps)) for i in range(steps + 1)]
    return [min(one.high, one.low + i * one.step) for i in range(steps + 1)]


@pytest.mark.parametrize("one", QUESTIONS, ids=lambda one: one.key)
def test_each_answer_of_each_question_falls_into_one_bin_in_the_order_of_the_scale(one):
    places = []
    for answer in possible(one):
        bins = histogram(one, asked(answer), 1)["bins"]
        assert sum(bins) == 1 and len(bins) <= max(BINS, len(one.choices))
        places.append(bins.index(1))
    assert places == sorted(places) and places[0] == 0 and places[-1] == len(bins) - 1
    if len(places) <= BINS:
        assert places == list(range(len(places)))  # a bin for each place of a short slider


@pytest.mark.parametrize("one", QUESTIONS, ids=lambda one: one.key)
def test_no_measurement_is_sent_before_half_of_the_room_has_answered(one):
    answer = possible(one)[0]
    few = histogram(one, asked(answer, late=9), 3, [answer])
    half = histogram(one, asked(answer, answer), 4, [answer, possible(one)[-1]])
    assert few["measured"] is None and few["right"] is None and "expected" not in few and not few["shown"]
    assert half["shown"] and half["measured"]["low"] == answer and half["measured"]["machines"] == 2
    early = asked(answer)
    early.shown = True
    assert histogram(one, early, 30, [answer])["measured"]["high"] == answer
    nobody = histogram(one, early, 30)
    assert nobody["shown"] and nobody["measured"] is None and nobody["right"] is None


@pytest.mark.parametrize("one", QUESTIONS, ids=lambda one: one.key)
def test_an_answer_is_right_as_the_lesson_calls_it_right(one):
    measured = possible(one)[len(possible(one)) // 2]
    for answer in possible(one):
        if one.kind == "choice":
            right = answer == measured
        elif one.factor:
            right = measured > 0 and abs(math.log(answer / measured)) <= math.log(one.factor) * (1 + 1e-8)
        else:
            right = abs(answer - measured) <= one.within * (1 + 1e-8)
        # of three machines, one of which is far off, the middle one counts
        others = [measured, measured, possible(one)[-1]]
        assert histogram(one, asked(answer), 1, others)["right"] == int(right), answer


def test_late_answers_are_counted_apart():
    seen = histogram(QUESTIONS[0], asked(0.5, late=3), 4)
    assert (seen["answered"], seen["late"], sum(seen["bins"])) == (1, 3, 1)
