"""What the projector's page gets: the whole room in one record of plain JSON, and nothing that names a voter."""

import time
from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

from moe_lessons.classroom.catalog import exercises, names
from moe_lessons.classroom.histogram import histogram
from moe_lessons.classroom.room import Room
from moe_lessons.ledger.book import claims
from moe_lessons.outbox.entries import STATES, VERDICTS
from moe_lessons.predictions.question import question

NOW = 15 * 60  # seconds: a mistake that is older is no news
QUESTIONS = 40
ROUTERS = 12
PAGES = (1, 2)  # of the ledger


def board(room: Room, now: float | None = None) -> dict[str, Any]:
    """The room as the page draws it."""
    now = time.time() if now is None else now
    return {
        "learners": [one.label for _, one in room.here()],
        "questions": list(_questions(room)),
        "lessons": list(_lessons(room)),
        "mistakes": _mistakes(room, now),
        "routers": _routers(room),
        "claims": list(_claims(room)),
    }


def _questions(room: Room) -> Iterator[dict[str, Any]]:
    """The questions that somebody answered, the newest last."""
    present = sum(1 for _ in room.here())
    newest = sorted(room.asked.items(), key=lambda pair: pair[1].since)[-QUESTIONS:]
    for key, asked in newest:
        yield histogram(question(key), asked, present, room.measured.get(key, {}).values())


def _lessons(room: Room) -> Iterator[dict[str, Any]]:
    """Lesson by lesson, who has passed what: 2 passed, 1 tried, 0 neither."""
    here = [one for _, one in room.here()]
    touched = {name for one in here for name in (*one.passed, *one.mistakes)}
    for lesson in sorted({name[:2] for name in touched}):
        own = [f"{lesson}.{name}" for name in names(lesson)]
        yield {
            "lesson": lesson,
            "exercises": names(lesson),
            "rows": [
                {"name": one.label, "marks": [2 if n in one.passed else int(n in one.mistakes) for n in own]}
                for one in here
            ],
        }


def _mistakes(room: Room, now: float) -> list[dict[str, Any]]:
    """The known mistakes that at least two make now, the most frequent first; whose they are is not said."""
    made = Counter(
        (exercise, mistake)
        for _, one in room.here()
        for exercise, (mistake, at) in one.mistakes.items()
        if mistake >= 0 and now - at < NOW
    )
    return [
        {"exercise": exercise, "count": count, "hint": exercises()[exercise][mistake]}
        for (exercise, mistake), count in made.most_common(6)
        if count >= 2
    ]


def _routers(room: Room) -> dict[str, Any]:
    """Lesson 14's leaderboard over the room: the mean over a router's seeds, the lowest loss first.

    Only runs of one arena can be compared: that of most machines, else of the first. The course's own routers, which
    everybody trains, stand there once, as the median machine has them.
    """
    arenas = Counter(arena for _, one in room.here() for arena in {key[0] for key in one.scores})
    arena = max(arenas, key=arenas.__getitem__, default="")
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    others = 0
    for _, one in room.here():
        for (where, router, _), entry in one.scores.items():
            if where == arena:
                runs.setdefault((router, "" if entry["ours"] else one.label), []).append(entry)
            else:
                others += 1
    rows = [_router(router, whose, entries) for (router, whose), entries in runs.items()]
    rows.sort(key=lambda row: (row["state"], row["loss"]))
    return {"rows": rows[:ROUTERS], "left_out": max(0, len(rows) - ROUTERS), "elsewhere": others}


def _router(router: str, whose: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    typical = {name: median(entry[name] for entry in entries) for name in ("loss", "peak", "pace", "live")}
    state = max(entry["state"] for entry in entries)
    return {"router": router, "whose": whose, "runs": len(entries), "state": state, "why": STATES[state], **typical}


def _claims(room: Room) -> Iterator[dict[str, Any]]:
    """The ledger over all machines: each number's spread, and how many machines have which verdict."""
    numbers: dict[str, dict[str, list[float]]] = {}
    verdicts: dict[str, Counter[str]] = {}
    for _, one in room.here():
        for (claim, lesson), value in one.ledger.items():
            numbers.setdefault(claim, {}).setdefault(lesson, []).append(value)
        for claim, word in one.verdicts.items():
            verdicts.setdefault(claim, Counter())[VERDICTS[word]] += 1
    for claim in (line.claim for page in PAGES for line in claims(page)):
        if claim.id not in numbers and claim.id not in verdicts:
            continue
        yield {
            "claim": claim.claim,
            "numbers": [
                {"lesson": lesson, "unit": claim.units[lesson], "machines": len(values), "low": min(values)}
                | {"high": max(values), "middle": median(values)}
                for lesson, values in sorted(numbers.get(claim.id, {}).items())
            ],
            "verdicts": verdicts.get(claim.id, {}),
        }
