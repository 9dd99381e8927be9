"""A lesson on one sheet of paper: in front what to predict before it, behind what it showed, and its exercises."""

import html

from moe_lessons.exercises.catalog import declared
from moe_lessons.exercises.catalog import lessons as with_exercises
from moe_lessons.kit.choose import pictures_of, slides_of
from moe_lessons.kit.lesson import Lesson
from moe_lessons.kit.page import image, page
from moe_lessons.kit.scale import closeness, scale
from moe_lessons.kit.words import ended, inline
from moe_lessons.predictions.question import Question

_ROOM = 14  # questions that leave room to breathe; more are set closer
_MOST_PICTURES = 4
_HINT = (
    '<p class="hint">Mark each scale where you expect the number; tick “sure” where you are. After the lesson, write '
    "down what it measured.</p>"
)


def sheet(lesson: Lesson) -> str:
    """The page: two sides of A4, to be printed on one sheet."""
    front = _side(lesson, "Before: write down what you expect", _claim(lesson) + _questions(lesson), "front")
    back = _side(lesson, "After: what it showed, and what to write", _pictures(lesson) + _exercises(lesson), "back")
    return page(
        f"{lesson.number} · {lesson.title}: a sheet of paper",
        f"<main>{front}{back}</main>",
        "paper",
        "sheet",
        script="sheet.js",
    )


def _side(lesson: Lesson, what: str, body: str, kind: str) -> str:
    return (
        f'<section class="side {kind}"><header><h1><span>{lesson.number}</span> {inline(lesson.title)}</h1>'
        f'<p>{what}</p><p class="name">Name</p></header>{body}</section>'
    )


def _claim(lesson: Lesson) -> str:
    claim = f"<p><b>{html.escape(lesson.claim_label)}:</b> {inline(lesson.claim)}</p>" if lesson.claim else ""
    return f'<div class="claim"><p>{inline(lesson.summary)}</p>{claim}</div>'


def _questions(lesson: Lesson) -> str:
    """Every question with room for its answer; those that a lesson asks in its prose with lines to write on."""
    asked = [slide.asked for slide in slides_of(lesson) if slide.asked]
    if not asked:
        return '<p class="hint">This lesson asks for no predictions.</p>'
    rows = []
    for one in asked:
        question = lesson.questions.get(one.key)
        if question:
            rows.append(f"<li><p>{html.escape(question.ask)}</p>{_answer(question)}{_after(question)}</li>")
        else:
            rows.append(f'<li><p>{inline(one.sentence)}</p><p class="write"></p></li>')
    dense = " dense" if len(rows) > _ROOM else ""
    dense += " tight" if len(rows) > 20 else ""
    return f'{_HINT}<ol class="questions{dense}">{"".join(rows)}</ol>'


def _answer(question: Question) -> str:
    if question.kind == "choice":
        return f'<ul class="boxes">{"".join(f"<li>{html.escape(each)}</li>" for each in question.choices)}</ul>'
    return scale(question)


def _after(question: Question) -> str:
    close = f" <span>({closeness(question)})</span>" if closeness(question) else ""
    return f'<p class="after"><span class="sure">sure</span> measured{close}<i></i>{html.escape(question.unit)}</p>'


def _pictures(lesson: Lesson) -> str:
    shown = "".join(
        f"<figure>{image(slide.picture)}"
        f"<figcaption><b>{inline(ended(slide.heading))}</b> {inline(slide.point)}</figcaption></figure>"
        for slide in pictures_of(lesson, _MOST_PICTURES)
        if slide.picture
    )
    return f'<div class="pictures">{shown}</div>'


def _exercises(lesson: Lesson) -> str:
    if lesson.number not in with_exercises():
        return ""
    rows = "".join(
        f"<li><code>{lesson.number}.{one.name}</code> {inline(one.task)} <i>{one.minutes} min</i></li>"
        for one in declared(lesson.number)
    )
    return f'<h2>Exercises</h2><ol class="tasks">{rows}</ol><h2>What surprised me most</h2><div class="write"></div>'
