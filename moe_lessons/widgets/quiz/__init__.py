"""A quiz: one question at a time, and for every option an explanation as soon as it is chosen."""

import html
import re
from collections.abc import Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.languages.words import translate
from moe_lessons.widgets.quiz.picture import draw_quiz
from moe_lessons.widgets.shared.view import View, front_end


class Quiz(View):
    """Questions, each a dict of `ask` and `options`; an option is a dict of `text`, `why` and `right`.

    What the learner chose is kept in `chosen` (an option's index, or -1), the first choice in `first`.
    """

    _esm, _css = front_end(__file__)

    lesson = traitlets.Unicode().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    questions = traitlets.List(traitlets.Dict()).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)
    first = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, *, lesson: str, title: str, questions: Sequence[dict[str, Any]], **kwargs: Any) -> None:
        unanswered = [-1] * len(questions)
        super().__init__(
            lesson=lesson, title=title, questions=list(questions), chosen=unanswered, first=unanswered, **kwargs
        )

    def figure(self) -> Figure:
        """The questions with their options; no answer is given away."""
        return draw_quiz(self.title, self.questions)

    def describe(self) -> str:
        return f"Quiz of lesson {self.lesson}: {len(self.questions)} questions"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        # Text reads better than its picture where only a page is shown, and can be searched and read aloud.
        data = {kind: content for kind, content in data.items() if kind != "image/png"}
        return {**data, "text/html": self._page()}, metadata

    def _page(self) -> str:
        items = "".join(
            f"<li><p><b>{_marked(question['ask'])}</b></p><ul>"
            + "".join(f"<li>{_marked(option['text'])}</li>" for option in question["options"])
            + "</ul></li>"
            for question in self.questions
        )
        note = translate("Run this cell in JupyterLab to answer and to read an explanation of every option.")
        return f"<h4>{_marked(self.title)}</h4><ol>{items}</ol><p><i>{note}</i></p>"


def _marked(text: str) -> str:
    """HTML of a text in which backticks mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
