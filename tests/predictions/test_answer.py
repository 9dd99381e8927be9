"""Answers: what may be kept and sent is a key and a few numbers; whatever else comes is one sentence and no answer."""

import json

import pytest

from moe_lessons.predictions.answer import Answer, accepted, answered
from moe_lessons.predictions.question import question

SLIDER, CHOICE = question("05.one_sheet"), question("05.starved_borders")
RECORD = {"key": "05.one_sheet", "answer": 0.5, "sure": 1, "late": 0, "time": 1.8e9}


def test_an_answer_survives_the_way_through_json():
    made = answered(SLIDER, 0.5, sure=True)
    assert accepted(json.loads(json.dumps(made.record(), allow_nan=False))) == made
    assert accepted(RECORD) == Answer(key="05.one_sheet", answer=0.5, sure=True, late=False, time=1.8e9)


def test_a_record_holds_no_text_but_its_key():
    assert {name: type(value) for name, value in answered(SLIDER, 1).record().items()} == {
        "key": str, "answer": float, "sure": int, "late": int, "time": float,
    }  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "05.one_sheet",
        {},
        {**RECORD, "name": "<script>"},
        {name: value for name, value in RECORD.items() if name != "time"},
        {**RECORD, "key": "<script>alert(1)</script>"},
        {**RECORD, "key": "05.one_sheet\n"},
        {**RECORD, "key": "05.of_another_course"},
        {**RECORD, "key": "x" * 10_000_000},
        {**RECORD, "key": 5},
        {**RECORD, "answer": "0.5"},
        {**RECORD, "answer": True},
        {**RECORD, "answer": float("nan")},
        {**RECORD, "answer": float("inf")},
        {**RECORD, "answer": 10**400},
        {**RECORD, "answer": 1.51},
        {**RECORD, "answer": -0.01},
        {**RECORD, "answer": [0.5]},
        {**RECORD, "sure": 2},
        {**RECORD, "late": float("nan")},
        {**RECORD, "time": 0},
        {**RECORD, "time": 1e12},
        {**RECORD, "key": CHOICE.key, "answer": 2},
        {**RECORD, "key": CHOICE.key, "answer": 0.5},
        {**RECORD, "key": CHOICE.key, "answer": -1},
    ],
)
def test_a_hostile_record_is_one_short_sentence(record):
    with pytest.raises(ValueError) as error:
        accepted(record)
    assert 10 < len(str(error.value)) < 1000 and "<script>alert(1)</script>" not in str(error.value)


@pytest.mark.parametrize("value", [None, "0.5", float("nan"), 2, -1, True, [0.5]])
def test_an_answer_that_the_question_does_not_allow_is_refused(value):
    with pytest.raises(ValueError, match="the prediction for 05.one_sheet"):
        answered(SLIDER, value)


def test_the_ends_of_the_scale_are_answers():
    assert answered(SLIDER, 0).answer == 0 and answered(SLIDER, 1.5).answer == 1.5
    assert [answered(CHOICE, index).answer for index in (0, 1)] == [0, 1]


def test_sure_is_yes_or_no():
    with pytest.raises(ValueError, match="sure or not"):
        answered(SLIDER, 0.5, sure="very")
