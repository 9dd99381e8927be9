"""What was predicted on this machine: `predictions.json` in the cache folder, one answer to each question."""

from typing import Any

from moe_lessons.outbox import tell
from moe_lessons.predictions.answer import Answer, parsed, within
from moe_lessons.predictions.question import Question
from moe_lessons.records import RecordFile

FILE = RecordFile(
    book="predictions",
    key="answers",
    parse=parsed,
    piece="prediction",
    remedy="predict again, or repair that file and give it its old name",
)


def remembered(questions: dict[str, Question]) -> dict[str, Answer]:
    """The answers to these questions; one that its question no longer allows is left out."""
    found = {}
    for answer in FILE.read():
        if answer.key in questions:
            try:
                within(questions[answer.key], answer.answer)
            except ValueError:
                continue
            found[answer.key] = answer
    return found


def remember(answer: Answer) -> None:
    """Keep an answer in place of an earlier one to the same question, and all others as they are; tell a class."""

    def with_it(before: list[Answer]) -> list[dict[str, Any]]:
        return [each.record() for each in (*(one for one in before if one.key != answer.key), answer)]

    FILE.update(with_it)
    tell("prediction", **{name: value for name, value in answer.record().items() if name != "time"})
