import json

import pytest

from moe_lessons.exercises.progress import remember as passed
from moe_lessons.kit.record import record
from moe_lessons.ledger.book import settle, show
from moe_lessons.predictions.answer import answered
from moe_lessons.predictions.question import question
from moe_lessons.predictions.store import remember as predicted


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path))


def lines(found):
    return {each.line.claim.id: each for page in found.pages.values() for each in page}


def test_a_machine_on_which_nothing_was_done_has_nothing_on_record():
    found = record()
    assert found.claims == (0, sum(len(line.claim.lessons) for page in (1, 2) for line in show(page)))
    assert found.exercises[0] == 0 < found.exercises[1] and found.guesses is None
    assert not any(each.verdict for each in lines(found).values())


def test_a_claim_gets_its_verdict_only_when_all_its_lessons_ran_here():
    settle("active-parameters", 37_552_297_472, "parameters at work", "Right.", "09", "{:,.0f}")
    settle("cheap-and-unexplained", 0.1, "nats per token gained", "So.", "07")
    found = lines(record())
    assert found["active-parameters"].verdict == "right" and not found["active-parameters"].missing
    assert found["cheap-and-unexplained"].verdict == "" and found["cheap-and-unexplained"].missing == ("04", "12")


def test_passed_exercises_are_counted_by_lesson():
    passed("05.mixture")
    passed("05.no_longer_there")
    found = record()
    assert found.passed["05"][0] == 1 and found.exercises[0] == 1


def test_predictions_are_compared_with_what_the_stored_lesson_measured():
    predicted(answered(question("05.rows_starved"), 0, sure=True))  # measured: 0
    predicted(answered(question("05.rows_top1"), 0, late=True))  # measured: 6
    guesses = record().guesses
    assert guesses and (guesses.answered, guesses.right, guesses.sure, guesses.sure_right, guesses.late) == (
        2,
        1,
        1,
        1,
        1,
    )


def test_a_damaged_file_is_a_warning_and_an_empty_record(tmp_path):
    (tmp_path / "ledger.json").write_text(json.dumps({"entries": [1]}), encoding="utf-8")
    with pytest.warns(UserWarning, match="is damaged"):
        assert record().claims[0] == 0
