"""The answer key to a lesson's predictions, for whoever teaches it."""

import html

from moe_lessons.kit.lesson import Lesson, place_of
from moe_lessons.kit.page import page
from moe_lessons.kit.scale import closeness, range_of, right_band, scale
from moe_lessons.kit.words import capital, inline
from moe_lessons.predictions.question import Question, rounded, with_unit


def answer_key(lesson: Lesson) -> str:
    """The page: each question with what the stored lesson measured, what counts as right, and where it may lie.

    Raises ValueError for a lesson that asks nothing.
    """
    if not lesson.questions:
        raise ValueError(f"lesson {lesson.number} asks for no predictions, so it has no answer key")
    rows = "".join(_row(lesson, one) for one in lesson.questions.values())
    body = (
        f'<main><section class="side long"><header><h1><span>{lesson.number}</span> {inline(lesson.title)}</h1>'
        f"<p>Answers to the predictions. {_LEGEND}</p></header><ol>{rows}</ol></section></main>"
    )
    return page(f"{lesson.number} · {lesson.title}: answers", body, "paper", "answers")


_LEGEND = (
    "The dot, or the choice in color, is what the lesson measured when it was stored; what counts as right beside it "
    'is shaded. On another machine the measurement may differ: "elsewhere" says where the lesson expects it.'
)


def _row(lesson: Lesson, one: Question) -> str:
    shown = lesson.measured.get(one.key, "")
    where = lesson.asked_in.get(one.key, "")
    section = f'<p class="where">{inline(where)}</p>' if where else ""
    found = f"<b>{html.escape(shown)}</b>" if shown else "<b>not stored</b>"
    expected = f" Elsewhere {_expected(one)}." if one.expected else ""
    close = f" {capital(closeness(one))}." if closeness(one) else ""
    return (
        f'<li><div>{section}<p class="asked">{html.escape(one.ask)}</p>{_way(one, shown)}</div>'
        f'<div class="said"><p>{found}</p><p>{html.escape(capital(one.measure))}.{close}{html.escape(expected)}</p>'
        f"<p><code>{html.escape(one.key)}</code></p></div></li>"
    )


def _way(one: Question, shown: str) -> str:
    """The choices or the scale, with what is right marked."""
    measured = place_of(one, shown) if shown else None
    if one.kind == "choice":
        marked = (' class="right"' if index == measured else "" for index in range(len(one.choices)))
        rows = (f"<li{mark}>{html.escape(each)}</li>" for mark, each in zip(marked, one.choices, strict=True))
        return f'<ul class="choices">{"".join(rows)}</ul>'
    if measured is None:
        return f"<p>{html.escape(range_of(one))}</p>"
    return scale(one, right_band(one, measured), measured)


def _expected(one: Question) -> str:
    if one.kind == "choice":
        return "it may be: " + " or ".join(f"“{each}”" for each in one.expected)
    low, high = one.expected
    if low == high:
        return f"it should be {with_unit(rounded(low), one.unit)}, too"
    return f"it should lie between {rounded(low)} and {with_unit(rounded(high), one.unit)}"
