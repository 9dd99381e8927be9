"""A class of thirty in the middle of its day, as a journal holds it: for pictures of the board, and for tests of it.

python tests/full_room.py 8899     # serves it, and prints the page's address
"""

import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moe_lessons.classroom.accepted import accepted
from moe_lessons.classroom.catalog import exercises
from moe_lessons.outbox.entries import entry
from moe_lessons.outbox.membership import learner_id, voter_id
from moe_lessons.predictions.question import Question, questions_of

NAMES = (
    *("Ada", "Alan", "Amina", "Anil", "Beatriz", "Benoît", "Chen", "Dmitri", "Edsger", "Fatima", "Grace", "Hedy"),
    *("Ingrid", "João", "Jürgen", "Katherine", "Kwame", "Lin", "Łukasz", "Mei", "Muhammad", "Noor", "Olga", "Priya"),
    *("Ada", "Radia", "Sofia", "Tomás", "Wanjiru", "美咲"),
)
ASKED = {key: one for key, one in questions_of("05").items() if key in (
    "05.one_sheet", "05.vanes_that_change", "05.two_of_six", "05.router_share", "05.starved_borders",
)}  # fmt: skip
EXERCISES = [name for name in exercises() if name.startswith("05.")]
ROUTERS = ("softmax, balance loss", "sigmoid, bias", "expert choice", "dice by token")


def answer(one: Question, draw: random.Random) -> float:
    """An answer as somebody might give it: around the middle of the scale more than at its ends."""
    if one.kind == "choice":
        return float(draw.choices(range(len(one.choices)), weights=range(2, 2 + len(one.choices)))[0])
    share = min(1.0, max(0.0, draw.gauss(0.45, 0.2)))
    if one.log:
        return float(f"{math.exp(math.log(one.low) + share * math.log(one.high / one.low)):.2g}")
    steps = round(share * (one.high - one.low) / one.step)
    return min(one.high, round(one.low + steps * one.step, 10))


def found(one: Question, draw: random.Random) -> float:
    """What a lesson may measure."""
    if one.kind == "choice":
        return one.place(one.expected[0])
    low, high = min(one.expected), max(one.expected)
    return round(low + (high - low) * draw.uniform(0.4, 0.6), 3)


def day(learner: int, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What one learner sends, kind by kind."""
    draw = random.Random(learner)
    yield "hello", {"name": name}
    for key, one in list(ASKED.items())[: 5 if learner % 3 else 4]:
        yield (
            "prediction",
            {"key": key, "answer": answer(one, draw), "sure": draw.randrange(2), "late": int(learner == 9)},
        )
        if learner % 2:
            yield "measured", {"key": key, "place": found(one, draw)}
    for name in EXERCISES[: draw.randrange(1, len(EXERCISES) + 1)]:
        mistakes = len(exercises()[name])
        if mistakes and draw.random() < 0.5:
            yield "check", {"exercise": name, "passed": 0, "mistake": min(mistakes - 1, draw.choice([0, 0, 1]))}
        if draw.random() < 0.7:
            yield "check", {"exercise": name, "passed": 1, "mistake": -1}
    for place, router in enumerate((*ROUTERS, "mine") if learner % 2 else ROUTERS):
        numbers = {
            "loss": 3.6 + 0.05 * place + draw.gauss(0, 0.01),
            "peak": 1.5 + draw.random(),
            "pace": 1.0 + 0.2 * place,
        }
        rest = {"arena": "0123456789ab", "ours": int(router != "mine"), "seed": 0, "state": 2 * (place == 2)}
        yield "score", {"router": router, "parameters": 1024, "live": 2.0, **numbers, **rest}
    yield "ledger", {"claim": "token-is-a-word", "lesson": "01", "value": 1.57}
    yield "ledger", {"claim": "more-compute-wins", "lesson": "12", "value": 0.12 + draw.gauss(0, 0.002)}
    yield "ledger", {"claim": "active-parameters", "lesson": "09", "value": 37.55e9}
    for claim, word in (("token-is-a-word", 1), ("more-compute-wins", 1), ("active-parameters", 0)):
        if learner % 4 == 0:
            yield "verdict", {"claim": claim, "word": word}


def records() -> list[dict[str, Any]]:
    """The journal's records."""
    made, now = [], time.time()
    for learner, name in enumerate(NAMES):
        secret = f"{learner:032x}"
        for at, (kind, fields) in enumerate(day(learner, name)):
            one = accepted(entry(kind, fields))
            who = voter_id(secret, one["key"]) if "key" in one else learner_id(secret)
            made.append({"at": now - 60 + at, "who": who, "entry": one})
    return made


def write(folder: Path) -> None:
    """Put the journal where a class finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(record) + "\n" for record in records())
    (folder / "entries.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    from moe_lessons.classroom.keys import keys
    from moe_lessons.classroom.server import class_server

    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        own, port = keys(Path(place)), int(sys.argv[1])
        server = class_server(Path(place), own, port=port)
        print(f"http://127.0.0.1:{port}/class/?token={own.token}", flush=True)
        server.start()
