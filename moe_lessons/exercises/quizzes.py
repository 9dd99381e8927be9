"""`quiz`: a lesson's questions, read from `data/quiz/NN.toml` and checked before they are shown."""

import random
import tomllib
from typing import TYPE_CHECKING, Any

from moe_lessons.languages.words import translate
from moe_lessons.resources import data_path

if TYPE_CHECKING:
    from moe_lessons.widgets.quiz import Quiz


def quiz(lesson: str) -> "Quiz":
    """The quiz widget of a lesson. Raises ValueError where the lesson has no quiz or its file is not sound."""
    from moe_lessons.widgets.quiz import Quiz

    title, questions = questions_of(lesson)
    return Quiz(lesson=lesson, title=translate(title), questions=[_translated(one) for one in questions])


def questions_of(lesson: str) -> tuple[str, list[dict[str, Any]]]:
    """A quiz's title and questions, each a dict of `ask` and `options` (`text`, `why`, `right`)."""
    known = sorted(path.stem for path in data_path("quiz").glob("*.toml"))
    if lesson not in known:
        raise ValueError(f"there is no quiz for lesson {lesson!r}; there are quizzes for: {', '.join(known)}")
    path = data_path(f"quiz/{lesson}.toml")
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"data/quiz/{lesson}.toml is not valid TOML: {error}") from None
    if not written.get("title") or not written.get("question"):
        raise ValueError(f"data/quiz/{lesson}.toml needs a `title` and at least one [[question]]")
    questions = [_question(f"data/quiz/{lesson}.toml, question {i}", q) for i, q in enumerate(written["question"], 1)]
    return written["title"], questions


def _translated(question: dict[str, Any]) -> dict[str, Any]:
    """A question in the language that is spoken."""
    options = [
        {**option, "text": translate(option["text"]), "why": translate(option["why"])} for option in question["options"]
    ]
    return {"ask": translate(question["ask"]), "options": options}


def _question(where: str, written: dict[str, Any]) -> dict[str, Any]:
    options = [
        {"text": option.get("text", ""), "why": option.get("why", ""), "right": option.get("right", False)}
        for option in written.get("option", [])
    ]
    if not written.get("ask") or len(options) < 2:
        raise ValueError(f"{where}: a question needs `ask` and at least two options")
    if sum(option["right"] for option in options) != 1:
        raise ValueError(f"{where}: exactly one option must have `right = true`")
    if not all(option["text"] and option["why"] for option in options):
        raise ValueError(f"{where}: every option needs a `text` and a `why`")
    # Whoever writes a question tends to put the right option in one place: a fixed shuffle undoes that.
    random.Random(written["ask"]).shuffle(options)
    return {"ask": written["ask"], "options": options}
