"""The schema of what is sent."""

import json

import pytest

from moe_lessons.ledger.closing import VERDICTS as CLOSED
from moe_lessons.outbox.entries import BYTES, KINDS, VERDICTS, entry, shaped

SOUND = {
    "hello": {"name": "Ada"},
    "bye": {},
    "prediction": {"key": "05.one_sheet", "answer": 0.5, "sure": 1, "late": 0},
    "measured": {"key": "05.one_sheet", "place": 0.93},
    "check": {"exercise": "05.mixture", "passed": 0, "mistake": 3},
    "score": {
        "arena": "0123456789ab",
        "router": "mine, 2",
        "ours": 0,
        "seed": 0,
        "state": 0,
        "parameters": 1024,
        "loss": 3.5,
        "peak": 1.5,
        "pace": 1.1,
        "live": 2.0,
    },
    "ledger": {"claim": "the-field", "lesson": "13", "value": 5.0},
    "verdict": {"claim": "the-field", "word": 1},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_entry_of_each_kind_survives_the_way_through_json_and_is_small(kind):
    made = entry(kind, SOUND[kind])
    assert shaped(json.loads(json.dumps(made, allow_nan=False))) == made
    assert len(json.dumps(made)) < BYTES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "bad", [None, True, [], {}, "<script>", "x" * 10_000, float("nan"), float("inf"), -(10**400), 1e300]
)
def test_no_field_of_any_kind_holds_anything_else(kind, bad):
    made = entry(kind, SOUND[kind])
    for name in made:
        with pytest.raises(ValueError) as error:
            shaped({**made, name: bad})
        assert 10 < len(str(error.value)) < 200 and "script" not in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_too_few_or_too_many_is_refused(kind):
    made = entry(kind, SOUND[kind])
    for name in made:
        with pytest.raises(ValueError):
            shaped({key: value for key, value in made.items() if key != name})
    with pytest.raises(ValueError, match="and no others"):
        shaped({**made, "code": 1})


def test_no_two_entries_have_one_id():
    assert len({entry("bye", {})["id"] for _ in range(1000)}) == 1000


def test_the_words_of_a_verdict_are_the_ledger_s():
    assert CLOSED is VERDICTS
