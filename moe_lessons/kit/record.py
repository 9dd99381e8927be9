"""What this machine has on record of one learner: claims measured, exercises passed, predictions made."""

import time
from typing import NamedTuple

from moe_lessons import __version__
from moe_lessons.exercises import progress
from moe_lessons.kit.lesson import Lesson, place_of, read_lessons
from moe_lessons.ledger.book import Line, show
from moe_lessons.ledger.closing import judged
from moe_lessons.predictions.calibration import Calibration, calibration
from moe_lessons.predictions.store import remembered

PAGES = {1: "The claims of January 2025", 2: "The claims of 2026"}


class Measured(NamedTuple):
    """A line of the ledger as this machine has it; `verdict` is empty while a lesson of the claim has not run here."""

    line: Line
    verdict: str
    missing: tuple[str, ...]  # lessons that settle the claim and have not run here


class Record(NamedTuple):
    """All of it. `guesses` is None where no prediction was made."""

    pages: dict[str, list[Measured]]
    passed: dict[str, tuple[int, int]]  # of each lesson: exercises passed, and how many it has
    guesses: Calibration | None
    machine: str
    version: str
    day: str

    @property
    def claims(self) -> tuple[int, int]:
        """Numbers of the ledger that were measured here, and how many the course measures."""
        lines = [each.line for page in self.pages.values() for each in page]
        return sum(len(line.entries) for line in lines), sum(len(line.claim.lessons) for line in lines)

    @property
    def exercises(self) -> tuple[int, int]:
        return sum(done for done, _ in self.passed.values()), sum(each for _, each in self.passed.values())


def record() -> Record:
    """Read the ledger, the exercises and the predictions of the cache folder; nothing is computed anew."""
    return Record(
        pages={title: [_measured(line) for line in show(page)] for page, title in PAGES.items()},
        passed={lesson: (sum(names.values()), len(names)) for lesson, names in progress().items()},
        guesses=_guesses(read_lessons()),
        machine=_machine(),
        version=__version__,
        day=time.strftime("%Y-%m-%d"),
    )


def _measured(line: Line) -> Measured:
    here = {entry.where: entry.value for entry in line.entries}
    missing = tuple(lesson for lesson in line.claim.lessons if lesson not in here)
    whole = line.claim.lessons and not missing
    return Measured(line, judged(line.claim.id, here).word if whole else "", missing)


def _guesses(lessons: list[Lesson]) -> Calibration | None:
    """Predictions beside what the lessons had measured when they were stored: nobody keeps what a kernel measured."""
    questions = {key: one for lesson in lessons for key, one in lesson.questions.items()}
    stored = {key: shown for lesson in lessons for key, shown in lesson.measured.items() if key in questions}
    answers = remembered(questions)
    if not answers:
        return None
    return calibration(questions, answers, {key: place_of(questions[key], shown) for key, shown in stored.items()})


def _machine() -> str:
    import torch

    from moe_lessons.benchmark.machine import describe

    it = describe(torch.device("cpu"))
    cores = f"{it.cores} {'core' if it.cores == 1 else 'cores'}"
    return f"{it.device}, {cores}, {it.system}; PyTorch {it.torch}, Python {it.python}"
