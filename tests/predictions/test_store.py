"""The store: the last answer stands, nothing else is touched, and a broken file is one sentence."""

import json

import pytest

from moe_lessons.predictions.answer import answered
from moe_lessons.predictions.question import question, questions_of
from moe_lessons.predictions.store import remember, remembered

pytestmark = pytest.mark.usefixtures("cache")
FIVE = questions_of("05")
ONE, OTHER = question("05.one_sheet"), question("05.shaking")


def test_nothing_is_written_before_somebody_answers(cache):
    assert remembered(FIVE) == {} and not cache.exists()


def test_a_later_answer_takes_the_place_of_an_earlier_one_and_of_no_other(cache):
    for one, value in ((ONE, 0.5), (OTHER, 40), (ONE, 0.9)):
        remember(answered(one, value))
    assert {key: answer.answer for key, answer in remembered(FIVE).items()} == {ONE.key: 0.9, OTHER.key: 40}
    assert len(json.loads((cache / "predictions.json").read_text(encoding="utf-8"))["answers"]) == 2


def test_an_answer_of_another_lesson_or_a_question_that_has_gone_stays_in_the_file(cache):
    cache.mkdir()
    gone = {"key": "05.has_gone", "answer": 1, "sure": 0, "late": 0, "time": 1.8e9}
    too_high = {"key": "05.one_sheet", "answer": 99, "sure": 0, "late": 0, "time": 1.8e9}  # the scale was longer once
    path = cache / "predictions.json"
    path.write_text(json.dumps({"answers": [gone, too_high]}), encoding="utf-8")
    assert remembered(FIVE) == {}
    remember(answered(OTHER, 40))
    kept = [record["key"] for record in json.loads(path.read_text(encoding="utf-8"))["answers"]]
    assert kept == ["05.has_gone", "05.one_sheet", "05.shaking"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"answers": 5}', '{"answers": [{"key": "05.one_sheet"}]}', "\udcff"])
def test_a_broken_file_is_one_sentence_and_is_set_aside(cache, text):
    cache.mkdir()
    path = cache / "predictions.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.warns(UserWarning, match="is damaged; it was moved to predictions.damaged.json") as caught:
        assert remembered(FIVE) == {}
    assert len(caught) == 1
    assert (cache / "predictions.damaged.json").read_bytes() == text.encode("utf-8", "surrogateescape")
    remember(answered(ONE, 0.5))
    assert remembered(FIVE)[ONE.key].answer == 0.5


def test_a_place_that_cannot_be_written_is_a_warning(cache):
    cache.write_text("a file where a folder should be", encoding="utf-8")
    with pytest.warns(UserWarning, match="the prediction is shown, not saved"):
        remember(answered(ONE, 0.5))
