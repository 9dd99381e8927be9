"""Whether an entry may count: its form, and whether what it names exists. The teacher's side believes nothing else."""

import json
from typing import Any, NoReturn

from moe_lessons.classroom.catalog import exercises
from moe_lessons.ledger.book import claim_of
from moe_lessons.outbox.entries import BYTES, shaped
from moe_lessons.predictions.answer import accepted as accepted_answer
from moe_lessons.predictions.answer import within
from moe_lessons.predictions.question import question

_ANSWER = ("key", "answer", "sure", "late", "time")


def parsed(text: str | bytes) -> Any:
    """What a JSON text says; ValueError, in one sentence, where it is none. NaN and Infinity are no JSON."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ValueError("this is not JSON") from None


def accepted(made: Any) -> dict[str, Any]:
    """The entry, where it may count; ValueError, in one sentence that repeats nothing of it, where it may not."""
    made = shaped(made)
    kind = made["kind"]
    if kind in ("prediction", "measured"):
        try:
            one = question(made["key"])
        except ValueError:
            raise ValueError("the course asks no such question") from None
        if kind == "prediction":
            accepted_answer({name: made[name] for name in _ANSWER})
        elif one.kind == "choice":
            within(one, made["place"])
    elif kind == "check":
        hints = exercises().get(made["exercise"])
        if hints is None:
            raise ValueError("the course has no such exercise")
        if not -1 <= made["mistake"] < len(hints) or (made["passed"] and made["mistake"] != -1):
            raise ValueError("the exercise has no such mistake")
    elif kind in ("ledger", "verdict"):
        try:
            claim = claim_of(made["claim"])
        except ValueError:
            raise ValueError("the ledger has no such claim") from None
        if kind == "ledger" and made["lesson"] not in claim.lessons:
            raise ValueError("that lesson does not settle that claim")
    return made


def accepted_line(line: bytes) -> dict[str, Any]:
    """The entry in a line of a file; ValueError where there is none that may count."""
    if len(line) > BYTES:
        raise ValueError(f"an entry has at most {BYTES:,} bytes")
    return accepted(parsed(line))


def _no_number(_: str) -> NoReturn:
    raise ValueError
