"""Which exercises have been passed on this machine. A convenience: losing it costs nothing, so no failure is shown."""

import contextlib
import html
import json
from pathlib import Path

from moe_lessons.exercises.catalog import declared, lessons
from moe_lessons.files import replacing
from moe_lessons.html_table import html_table, td, th
from moe_lessons.records import held
from moe_lessons.resources import cache_dir


def remember(name: str) -> None:
    """Note that an exercise was passed; a file that cannot be read stays as it is."""
    path = _path()
    with held(path), contextlib.suppress(OSError):
        passed = _passed() | {name}
        with replacing(path) as scratch:
            scratch.write_text(json.dumps(sorted(passed)), encoding="utf-8")


def remembered() -> set[str]:
    """The names of the exercises passed so far; none where the file is missing, spoiled or cannot be read."""
    with contextlib.suppress(OSError):
        return _passed()
    return set()


def _passed() -> set[str]:
    """The same, but OSError for a file that is there and cannot be read."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        return {str(name) for name in json.loads(_path().read_text(encoding="utf-8"))}
    return set()


class Progress(dict):
    """Per lesson, each exercise's name and whether it has been passed."""

    def __repr__(self) -> str:
        return "\n".join(f"{lesson}  {self._counts(lesson)}  {self._names(lesson)}" for lesson in self)

    def _repr_html_(self) -> str:
        left = "style='text-align:left'"
        rows = ([td(lesson), td(self._counts(lesson)), td(html.escape(self._names(lesson)), left)] for lesson in self)
        return html_table(rows, (th("lesson", ""), th("passed", ""), th("exercises", "", left)))

    def _counts(self, lesson: str) -> str:
        return f"{sum(self[lesson].values())} of {len(self[lesson])}"

    def _names(self, lesson: str) -> str:
        return "  ".join(f"{'✓' if done else '·'} {name}" for name, done in self[lesson].items())


def progress() -> Progress:
    """What has been passed so far, lesson by lesson. It depends on this machine's past, so tag its cell for nbval."""
    passed = remembered()
    return Progress(
        (lesson, {exercise.name: f"{lesson}.{exercise.name}" in passed for exercise in declared(lesson)})
        for lesson in lessons()
    )


def _path() -> Path:
    return cache_dir() / "progress.json"
