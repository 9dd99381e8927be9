"""What is right, what surprises, and what many answers add up to."""

import math

import pytest

from moe_lessons.predictions.answer import answered
from moe_lessons.predictions.calibration import calibration, distance, is_right
from moe_lessons.predictions.question import Question


def scale(key: str, **changes) -> Question:
    facts = {"ask": "?", "kind": "slider", "measure": "m", "expected": (0, 1), "low": 0.1, "high": 100.0}
    return Question(key=key, **facts | {"within": 10.0} | changes)


def choice(key: str, cuts=()) -> Question:
    return Question(
        key=key, ask="?", kind="choice", measure="m", expected=("a",), choices=("a", "b", "c"), cuts=tuple(cuts)
    )


def test_a_number_is_right_within_its_distance_and_a_ratio_within_its_factor():
    plain, ratio = scale("05.a"), scale("05.b", within=0.0, factor=2.0)
    assert [is_right(plain, answer, 50) for answer in (39.9, 40, 60, 60.1)] == [False, True, True, False]
    assert [is_right(ratio, answer, 10) for answer in (4.9, 5, 20, 20.1)] == [False, True, True, False]
    assert is_right(scale("05.c", within=0.1), 0.3, 0.2)  # although 0.3 - 0.2 is more than 0.1
    assert distance(ratio, 5, 0) == math.inf


def test_a_choice_is_right_or_not_and_further_off_where_choices_have_an_order():
    assert [distance(choice("05.a"), answer, 0) for answer in (0, 1, 2)] == [0, 2, 2]
    assert [distance(choice("05.a", (1, 2)), answer, 0) for answer in (0, 1, 2)] == [0, 2, 4]


def test_a_lesson_adds_up():
    questions = {one.key: one for one in (scale("05.a"), scale("05.b"), scale("05.c"), choice("05.d"), choice("05.e"))}
    questions["05.f"] = scale("05.f")
    given = {"05.a": (50, True), "05.b": (90, True), "05.c": (20, False), "05.d": (0, False), "05.e": (1, True)}
    answers = {key: answered(questions[key], value, sure) for key, (value, sure) in given.items()}
    measured = {"05.a": 55, "05.b": 30, "05.c": 40, "05.d": 0, "05.f": 3}
    found = calibration(questions, answers, measured)
    assert found._asdict() == {
        "asked": 6, "answered": 4, "right": 2, "sure": 2, "sure_right": 1, "late": 0,
        "too_high": 1, "too_low": 1, "surprise": "05.b",
    }  # fmt: skip


def test_of_two_that_are_equally_far_off_the_sure_one_surprises_more():
    questions = {one.key: one for one in (choice("05.a"), choice("05.b"), choice("05.c"))}
    answers = {key: answered(one, 1, sure=key == "05.b") for key, one in questions.items()}
    assert calibration(questions, answers, dict.fromkeys(questions, 0.0)).surprise == "05.b"


def test_nobody_who_answered_nothing_is_judged():
    found = calibration({"05.a": scale("05.a")}, {}, {"05.a": 1.0})
    assert found.answered == 0 and found.surprise == ""


@pytest.mark.parametrize("measured", [0.0, -5.0])
def test_a_ratio_to_nothing_is_never_right(measured):
    assert not is_right(scale("05.a", within=0.0, factor=100.0), 0.1, measured)
