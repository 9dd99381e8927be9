"""A lesson's slides: one HTML page that runs from a stick, with the keyboard, and prints one slide a sheet."""

import html

from moe_lessons.exercises.catalog import declared
from moe_lessons.exercises.catalog import lessons as with_exercises
from moe_lessons.kit.choose import Slide, slides_of
from moe_lessons.kit.lesson import Answered, Lesson
from moe_lessons.kit.page import image, page
from moe_lessons.kit.scale import closeness, scale
from moe_lessons.kit.words import capital, inline, paragraphs, plain

MOST = 6  # measured lines on one slide
_LONG = 14  # letters of a measurement that may take two lines
_FLAT = 1.9  # width by height from which a picture takes the whole width


def slides(lesson: Lesson) -> str:
    """The page."""
    made = [_head(lesson), *(_slide(lesson, each) for each in slides_of(lesson))]
    if lesson.number in with_exercises():
        made.append(_exercises(lesson))
    help_ = (
        "<b>→</b> or space: on, <b>←</b>: back, <b>↓ ↑</b>: sections, <b>o</b>: all, <b>n</b>: the lesson's words, "
        "<b>d</b>: dark, <b>f</b>: whole screen, <b>?</b>: this"
    )
    body = (
        f'<main id="deck">\n{chr(10).join(made)}\n</main>\n<p id="help" hidden>{help_}</p>\n'
        '<p id="place" aria-live="polite"></p>'
    )
    return page(f"{lesson.number} · {lesson.title}: slides", body, "slides", script="slides.js")


def _frame(kind: str, heading: str, kicker: str, body: str, notes: str = "") -> str:
    """One slide. `kicker` is the small line above its heading."""
    said = f'<aside class="notes">{paragraphs(notes)}</aside>' if notes else ""
    return (
        f'<section class="slide {kind}" data-heading="{html.escape(plain(heading))}" tabindex="-1">'
        f"<header><p>{kicker}</p><h1>{inline(heading)}</h1></header>{body}{said}</section>"
    )


def _head(lesson: Lesson) -> str:
    able = "".join(f"<li>{inline(each)}</li>" for each in lesson.abilities)
    claim = ""
    if lesson.claim:
        claim = f'<div class="claim"><p>{html.escape(lesson.claim_label)}</p><p>{inline(lesson.claim)}</p></div>'
    aims = f'<div class="aims"><p>You will be able to</p><ul>{able}</ul></div>' if able else ""
    return (
        f'<section class="slide first" data-heading="{html.escape(plain(lesson.title))}" tabindex="-1">'
        f'<p class="number" aria-hidden="true">{lesson.number}</p><h1>{inline(lesson.title)}</h1>'
        f'<p class="lead">{inline(lesson.summary)}</p>{aims}{claim}'
        f'<aside class="notes"><p>{lesson.minutes} minutes for one person; a class that talks needs half as long '
        "again. Keep the lesson itself open beside the slides, for its widgets.</p></aside></section>"
    )


def _slide(lesson: Lesson, slide: Slide) -> str:
    kicker = f"{lesson.number} · {inline(lesson.title)}"
    if slide.asked:
        return _frame("asks", slide.heading, kicker, _question(lesson, slide), slide.notes)
    if slide.settled:
        claim, value, verdict = map(inline, slide.settled)
        body = (
            f'<div class="ledger"><p class="said">{claim}</p><p class="value">{value}</p>'
            f'<p class="so" data-step>{verdict}</p></div>'
        )
        return _frame("settles", slide.heading, kicker, body)
    lines = [_measured(lesson, each) for each in slide.answered]
    known = {lesson.questions[each.key].measure.lower() for each in slide.answered if each.key in lesson.questions}
    stated = [one for one in slide.statements if one.what.lower() not in known]  # the same number, said twice
    lines += [
        f"<li><span>{inline(capital(one.what))}</span> <b>{html.escape(one.value)}</b></li>" for one in stated[:MOST]
    ]
    if len(stated) > MOST:
        lines.append(f'<li class="more">{len(stated) - MOST} more in the lesson</li>')
    listed = f'<ul class="measured">{"".join(lines)}</ul>' if lines else ""
    so = f'<p class="so" data-step>{inline(slide.point)}</p>' if slide.point else ""
    if not slide.picture:
        return _frame("states", slide.heading, kicker, f'<div class="beside">{listed}{so}</div>', slide.notes)
    flat = slide.picture.width / slide.picture.height >= _FLAT
    live = ""
    if slide.picture.view:
        live = f'<p class="live">A still of {slide.picture.view}; it is alive in the lesson.</p>'
    figure = f"<figure>{image(slide.picture)}</figure>"
    body = f'{figure}<div class="beside">{listed}{so}{live}</div>'
    return _frame(f"shows {'flat' if flat else 'tall'}", slide.heading, kicker, body, slide.notes)


def _question(lesson: Lesson, slide: Slide) -> str:
    """What is asked, and among what one chooses."""
    asked = slide.asked
    assert asked
    one = lesson.questions.get(asked.key)
    if one is None:
        return f'<div class="ask"><p class="tag">Predict</p><p class="ask-words">{inline(asked.sentence)}</p></div>'
    if one.kind == "choice":
        way = f'<ol class="choices">{"".join(f"<li>{html.escape(each)}</li>" for each in one.choices)}</ol>'
    else:
        unit = f'<p class="unit">{html.escape(one.unit)}</p>' if one.unit and one.unit != "%" else ""
        way = scale(one) + unit
    return f'<div class="ask"><p class="tag">Predict</p><p class="ask-words">{html.escape(one.ask)}</p>{way}</div>'


def _measured(lesson: Lesson, answered: Answered) -> str:
    """A question's measurement, as one of a slide's lines."""
    one = lesson.questions.get(answered.key)
    if one is None:
        return ""
    close = f" <small>({closeness(one)})</small>" if closeness(one) else ""
    said = capital(one.measure)
    shown = answered.shown if len(answered.shown) > _LONG else answered.shown.replace(" ", "\xa0")
    return f'<li class="answer"><span>{html.escape(said)}{close}</span> <b>{html.escape(shown)}</b></li>'


def _exercises(lesson: Lesson) -> str:
    rows = "".join(
        f"<li><span><code>{lesson.number}.{one.name}</code> {inline(one.task)}</span> <b>{one.minutes} min</b></li>"
        for one in declared(lesson.number)
    )
    return _frame("work", "Exercises", f"{lesson.number} · {inline(lesson.title)}", f'<ul class="tasks">{rows}</ul>')
