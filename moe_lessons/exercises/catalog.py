"""Finding exercises by name: `01.merge` is the exercise `merge` in `lesson_01.py`."""

import html
import re
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.html_table import html_table, td
from moe_lessons.languages.words import translate

_STARS = {1: "★☆☆", 2: "★★☆", 3: "★★★"}


class Exercises(tuple):
    """A lesson's exercises, shown as a table of what to write."""

    def __repr__(self) -> str:
        return _writable(
            "\n".join(
                f"{lesson}.{exercise.signature}  {_STARS[exercise.difficulty]} {exercise.minutes} min\n"
                f"    {exercise.task}"
                for lesson, exercise in self
            )
        )

    def _repr_html_(self) -> str:
        left = "style='text-align:left'"
        rows = (
            [
                td(f"<code>{html.escape(f'{lesson}.{exercise.name}')}</code>", left),
                td(f"{_with_code(translate(exercise.task))}<br><code>{html.escape(exercise.signature)}</code>", left),
                td(_STARS[exercise.difficulty], f"title='difficulty {exercise.difficulty} of 3'"),
                td(f"{exercise.minutes} min", "style='white-space:nowrap'"),
            ]
            for lesson, exercise in self
        )
        return html_table(rows)


def _writable(text: str) -> str:
    """The text as it is, or in ASCII where Python's output knows no more."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return text.translate({ord("★"): "*", ord("☆"): "-"}).encode("ascii", "replace").decode()
    return text


def _with_code(text: str) -> str:
    """Plain text as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def exercises(lesson: str) -> Exercises:
    """A lesson's exercises as (lesson, Exercise) pairs. Raises ValueError where it has none."""
    return Exercises((lesson, exercise) for exercise in declared(lesson))


def lessons() -> list[str]:
    """The lessons that have exercises: `00`, `01`, ..."""
    return sorted(path.stem.removeprefix("lesson_") for path in Path(__file__).parent.glob("lesson_*.py"))


@cache
def declared(lesson: str) -> tuple[Exercise, ...]:
    """What `lesson_NN.py` declares. Raises ValueError where there is no such file."""
    if not (isinstance(lesson, str) and find_spec(f"moe_lessons.exercises.lesson_{lesson}")):
        raise ValueError(
            f"there is no lesson {lesson!r} with exercises; the lessons with exercises are: {', '.join(lessons())}"
        )
    return import_module(f"moe_lessons.exercises.lesson_{lesson}").EXERCISES


def find(name: str) -> Exercise:
    """The exercise called `01.merge`. Raises ValueError that lists the lesson's exercises."""
    lesson, dot, short = str(name).partition(".")
    if not dot:
        raise ValueError(f"{name!r} is no exercise's name; write the lesson, a point and the name, such as '01.merge'")
    known = {exercise.name: exercise for exercise in declared(lesson)}
    if short not in known:
        names = ", ".join(f"{lesson}.{key}" for key in known)
        raise ValueError(f"there is no exercise {name!r}; lesson {lesson} has: {names}")
    return known[short]
