"""A prediction: asked for, drawn beside what was measured, or summed up over a lesson."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.languages.words import translate
from moe_lessons.widgets.prediction_view.picture import draw_predictions
from moe_lessons.widgets.shared.view import View, front_end

#: Takes key, answer and whether one is sure; gives what stands now (None: nothing) and a sentence, or none.
Keep = Callable[[str, Any, Any], tuple[dict[str, Any] | None, str]]


class PredictionView(View):
    """Questions (see moe_lessons.predictions) with answers and measurements, in one of three modes.

    `ask` shows a question and hands its answer to `keep`; `compare` draws answer and measurement on one scale; `sum`
    lists a lesson's. `answers` has a dict of `answer`, `sure` and `late` for each key, `measured` one of `place`,
    which can be compared with an answer, and `shown`.
    """

    _esm, _css = front_end(__file__)

    mode = traitlets.Enum(("ask", "compare", "sum"), "ask").tag(sync=True)
    questions = traitlets.List(traitlets.Dict()).tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    measured = traitlets.Dict().tag(sync=True)
    #: What the front end asks to keep: [key, answer, sure, and a number that is another one each time].
    given = traitlets.List().tag(sync=True)

    def __init__(
        self,
        *,
        mode: str,
        questions: Sequence[dict[str, Any]],
        answers: Mapping[str, dict[str, Any]] | None = None,
        measured: Mapping[str, dict[str, Any]] | None = None,
        keep: Keep | None = None,
        **kwargs: Any,
    ) -> None:
        self._keep = keep
        super().__init__(
            mode=mode,
            questions=list(questions),
            answers=dict(answers or {}),
            measured=dict(measured or {}),
            **kwargs,
        )
        self.observe(self._on_given, "given")

    def _on_given(self, change: dict[str, Any]) -> None:
        """Keep what was given, and say what stands; nothing may be raised here, where nobody would see it."""
        if not change["new"] or self._keep is None:
            return
        try:
            key, value, sure, _ = change["new"]
            stands, sentence = self._keep(key, value, sure)
            if stands is not None:
                self.answers = {**self.answers, key: stands}
        except Exception as error:
            sentence = f"The prediction was not kept: {error}."
        self.message = ""  # so that the same sentence is news a second time
        self.message = sentence

    def figure(self) -> Figure:
        """Answers and measurements as a still picture, a line for each question."""
        return draw_predictions(self.questions, self.answers, self.measured)

    def describe(self) -> str:
        lesson = str(self.questions[0]["key"])[:2] if self.questions else "without questions"
        if self.mode == "sum" or not self.questions:
            return f"PredictionView of lesson {lesson}: {len(self.questions)} questions"
        key = self.questions[0]["key"]
        if self.mode == "ask":
            return f"PredictionView {key}"
        shown = self.measured.get(key, {}).get("shown", "nothing")
        return f"PredictionView {key}: measured {shown}"

    def _still(self) -> tuple[dict[str, Any], dict[str, Any]]:
        # A question is read, searched and spoken better as text; and no answer of anybody's is in it.
        return ({"text/html": self._page()}, {}) if self.mode == "ask" else super()._still()

    def _page(self) -> str:
        parts = []
        for one in self.questions:
            ends = {end: f"{one[end]:,g}" for end in ("low", "high")}
            way = " · ".join(map(html.escape, one["choices"])) or translate("between {low} and {high}", **ends)
            unit = f" {html.escape(one['unit'])}" if one["unit"] else ""
            head, scale = translate("Predict:"), way if one["choices"] else way + unit
            parts.append(f"<p><b>{head}</b> {html.escape(one['ask'])} <i>({scale})</i></p>")
        return "".join(parts)
