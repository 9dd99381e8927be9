"""`predict`, `predicted` and `predictions`: what a lesson calls, and how answers find their way into the store."""

import warnings
from typing import TYPE_CHECKING, Any

from moe_lessons.languages.words import translate
from moe_lessons.outbox import tell
from moe_lessons.predictions.answer import Answer, answered
from moe_lessons.predictions.question import Question, question, questions_of
from moe_lessons.predictions.store import remember, remembered

if TYPE_CHECKING:
    from moe_lessons.widgets.prediction_view import PredictionView

# What this process has measured. An answer counts as late from then on, and one that was given before it stands.
_MEASURED: dict[str, tuple[float, str]] = {}


def predict(key: str) -> "PredictionView":
    """Ask a lesson's question, such as "05.one_sheet". Nothing waits for the answer.

    Raises ValueError for a question that there is not.
    """
    one = question(key)
    return _view("ask", {key: one})


def predicted(key: str, value: Any) -> "PredictionView":
    """Show a prediction beside what was measured: a number (a share, where the unit is %), or a choice's words.

    Raises ValueError for a question that there is not, or a measurement that does not fit it.
    """
    one = question(key)
    _MEASURED[key] = one.place(value), one.measured_as(value)
    tell("measured", key=key, place=one.place(value))
    return _view("compare", {key: one})


def predictions(lesson: str) -> "PredictionView":
    """What a lesson's predictions add up to: how many came out right, and which surprise was the largest.

    Raises ValueError for a lesson without questions.
    """
    return _view("sum", questions_of(lesson))


def _view(mode: str, questions: dict[str, Question]) -> "PredictionView":
    from moe_lessons.widgets.prediction_view import PredictionView

    kept = remembered(questions)
    measured = {key: _MEASURED[key] for key in questions if key in _MEASURED}
    return PredictionView(
        mode=mode,
        questions=[one.sent() for one in questions.values()],
        answers={key: _shown(questions[key], one) for key, one in kept.items()},
        measured={} if mode == "ask" else {key: {"place": at, "shown": said} for key, (at, said) in measured.items()},
        keep=_keep,
    )


def _keep(key: str, value: Any, sure: Any) -> tuple[dict[str, Any] | None, str]:
    """Keep an answer from a front end; what now stands for this question, and a sentence where that is not it."""
    try:
        one = question(key)
        before = remembered({key: one}).get(key)
        late = key in _MEASURED
        if before is not None and late:
            return _shown(one, before), translate("This was measured already, so your prediction stands.")
        answer = answered(one, value, sure, late)
    except ValueError as error:
        return None, f"{error}."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        remember(answer)
    trouble = " ".join(f"{each.message}." for each in caught)
    return _shown(one, answer), trouble


def _shown(one: Question, answer: Answer) -> dict[str, Any]:
    """An answer as the view takes it."""
    said = one.shown(answer.answer)
    return {"answer": answer.answer, "sure": answer.sure, "late": answer.late, "shown": said}
