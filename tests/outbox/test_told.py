"""What a lesson tells a class: each prediction, check, score and line of the ledger, by the calls that lessons make."""

import json
from pathlib import Path

import pytest

from moe_lessons.capstone.leaderboard import Row, keep
from moe_lessons.exercises import check
from moe_lessons.exercises.catalog import find
from moe_lessons.ledger import settle
from moe_lessons.outbox.entries import shaped
from moe_lessons.outbox.membership import Membership, join
from moe_lessons.outbox.waiting import all_entries
from moe_lessons.predictions.asking import _keep, predicted


@pytest.fixture(autouse=True)
def joined(cache, tmp_path, monkeypatch):
    """A member whose thread stays away, so that the outbox can be read."""
    monkeypatch.setattr("moe_lessons.outbox.sender.wake", lambda: None)
    join(Membership(name="Ada", folder=str(tmp_path)))


def told() -> list[dict]:
    made = [shaped(entry) for entry, _ in all_entries()]
    return [{name: value for name, value in entry.items() if name not in ("id", "time")} for entry in made]


def test_a_prediction_is_told_with_the_answer_that_stands():
    _keep("05.one_sheet", 0.5, True)
    assert told() == [{"kind": "prediction", "key": "05.one_sheet", "answer": 0.5, "sure": 1, "late": 0}]


def test_what_a_lesson_measures_is_told_as_the_board_compares_it():
    predicted("05.one_sheet", 0.93)
    predicted("05.router_share", 0.026)  # of 1, where answers are in percent
    predicted("05.starved_borders", "They move")
    found = {entry["key"]: entry["place"] for entry in told()}
    assert found == {"05.one_sheet": 0.93, "05.router_share": 2.6, "05.starved_borders": 1.0}


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_check_tells_what_came_of_it_and_which_known_mistake_it_was(capsys, monkeypatch, language):
    monkeypatch.setenv("MOE_LESSONS_LANGUAGE", language)
    exercise = find("05.mixture")
    for attempt in (None, exercise.reference, *exercise.mistakes.values(), lambda *_: 1 / 0):
        check("05.mixture", attempt)
    capsys.readouterr()
    mistakes = [entry["mistake"] for entry in told()]
    assert mistakes == [-1, *range(len(exercise.mistakes)), -1]
    assert [entry["passed"] for entry in told()] == [1] + [0] * (len(exercise.mistakes) + 1)


def test_a_line_of_the_ledger_is_told_as_its_number():
    settle("token-is-a-word", 1.57, "tokens per word", "Somebody's own sentence.", "01")
    assert told() == [{"kind": "ledger", "claim": "token-is-a-word", "lesson": "01", "value": 1.57}]


def test_a_router_s_row_is_told_in_numbers_without_any_sentence():
    row = Row(name="<b>mine</b>", ours=False, seed=3, settings={}, conditions={"arena": "0123456789ab"}, loss=3.5)
    keep(row)
    keep(Row(name="mine", ours=False, seed=0, settings={}, conditions=row.conditions, refused="It stops: secret = 1"))
    first, second = told()
    assert (first["router"], first["loss"], first["peak"], first["state"]) == ("bmineb", 3.5, 0.0, 0)
    assert second["state"] == 2 and "secret" not in json.dumps([first, second])


def test_what_is_told_changes_nothing_that_a_lesson_shows(capsys, tmp_path):
    check("05.mixture", find("05.mixture").reference)
    with_class = capsys.readouterr()
    from moe_lessons.outbox.membership import leave

    leave()
    check("05.mixture", find("05.mixture").reference)
    assert capsys.readouterr() == with_class and not list(Path(tmp_path).glob("*.jsonl"))
