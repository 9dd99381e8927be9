"""The one schema of what is sent to a class: kinds of entries, their fields, and the bounds of each.

Both sides hold entries to it: a learner's machine before it writes one down, the teacher's before it believes one.
Nothing is text but names from this list: of questions, exercises and claims, which the course gave, of a router and
of the learner, who chose it.
"""

import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from moe_lessons.outbox.names import is_name

EARLIEST, LATEST = 1.6e9, 4e9  # seconds since 1970: September 2020 and the year 2096
LARGEST = 1e15
BYTES = 1000  # of one entry, as JSON
VERDICTS = ("right", "half right", "wrong", "not countable")
STATES = ("scored", "over the budget", "refused")


class Field(NamedTuple):
    """What one field may hold."""

    allows: Callable[[Any], bool]
    says: str  # completes "it must be ..."


class Kind(NamedTuple):
    """One kind of entry."""

    when: str  # in words, for whoever joins
    fields: Mapping[str, Field]


def _number(low: float, high: float) -> Field:
    # NaN is within no bounds
    allows = lambda value: type(value) in (int, float) and low <= value <= high  # noqa: E731
    return Field(allows, f"a number from {low:g} to {high:g}")


def _whole(low: int, high: int) -> Field:
    return Field(lambda value: type(value) is int and low <= value <= high, f"a whole number from {low} to {high}")


def _like(pattern: str, says: str) -> Field:
    compiled = re.compile(pattern)
    return Field(lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None, says)


_TRUTH = _whole(0, 1)
_NAME = Field(is_name, "a name of at most 24 letters and digits")
_KEY = _like(r"\d\d\.[a-z][a-z0-9_]{0,39}", "a key such as '05.one_sheet'")
_CLAIM = _like(r"[a-z0-9][a-z0-9-]{0,39}", "a claim's name such as 'the-field'")

COMMON = {
    "id": _like(r"[0-9a-f]{32}", "32 digits drawn at random"),
    "kind": Field(lambda value: isinstance(value, str) and value in KINDS, "a kind of entry that there is"),
    "time": _number(EARLIEST, LATEST),
}
KINDS: dict[str, Kind] = {
    "hello": Kind("you join, or change your name", {"name": _NAME}),
    "bye": Kind("you leave", {}),
    "prediction": Kind(
        "you predict; the board counts it and says nothing of who",
        {"key": _KEY, "answer": _number(-LARGEST, LARGEST), "sure": _TRUTH, "late": _TRUTH},
    ),
    "measured": Kind(
        "a lesson measures what it asked you; as with your answer, the board says nothing of who",
        {"key": _KEY, "place": _number(-LARGEST, LARGEST)},
    ),
    "check": Kind(
        "you check an exercise: whether it passed, else the number of the known mistake, -1 for none",
        {"exercise": _KEY, "passed": _TRUTH, "mistake": _whole(-1, 99)},
    ),
    "score": Kind(
        "a router of lesson 14 enters: its name, and what the leaderboard says of it",
        {
            "arena": _like(r"[0-9a-f]{12}", "12 digits"),
            "router": _NAME,
            "ours": _TRUTH,
            "seed": _whole(0, 2**31),
            "state": _whole(0, len(STATES) - 1),
            "loss": _number(0, 1e3),
            "peak": _number(0, 1e6),
            "pace": _number(0, 1e6),
            "live": _number(0, 1e6),
            "parameters": _whole(0, 10**12),
        },
    ),
    "ledger": Kind(
        "a lesson settles a line of the ledger: the number",
        {"claim": _CLAIM, "lesson": _like(r"\d\d", "a lesson such as '07'"), "value": _number(-LARGEST, LARGEST)},
    ),
    "verdict": Kind(
        "lesson 14 closes the ledger: the word, as its place in right, half right, wrong, not countable",
        {"claim": _CLAIM, "word": _whole(0, len(VERDICTS) - 1)},
    ),
}


def entry(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A new entry of now, as it is sent; ValueError, in one sentence, where the fields are not the kind's."""
    return shaped({"id": uuid.uuid4().hex, "kind": kind, "time": round(time.time(), 1), **fields})


def shaped(made: Any) -> dict[str, Any]:
    """The entry, where it has the form of its kind; ValueError, which repeats nothing of it, where it has not."""
    if not isinstance(made, dict):
        raise ValueError("an entry is a record with an id, a kind and a time")
    for name, field in COMMON.items():
        if name not in made or not field.allows(made[name]):
            raise ValueError(f"an entry's {name} must be {field.says}")
    fields = KINDS[made["kind"]].fields
    if set(made) != {*COMMON, *fields}:
        raise ValueError(
            f"an entry of the kind {made['kind']} has these fields and no others: {', '.join([*COMMON, *fields])}"
        )
    for name, field in fields.items():
        if not field.allows(made[name]):
            raise ValueError(f"{made['kind']}'s {name} must be {field.says}")
    return made
