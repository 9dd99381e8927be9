"""The prediction's picture: its front end counts as Python does, and no answer of anybody's is in what is stored."""

import json
import random
import warnings
from dataclasses import replace

import pytest
from in_node import javascript

from moe_lessons.predictions.answer import answered
from moe_lessons.predictions.calibration import calibration, distance, is_right
from moe_lessons.predictions.question import Question, lessons, question, questions_of
from moe_lessons.widgets import PredictionView

EVERY = {key: one for lesson in lessons() for key, one in questions_of(lesson).items()}


def some_value(one: Question, rng: random.Random) -> float:
    if one.kind == "choice":
        return rng.randrange(len(one.choices))
    return round(rng.uniform(one.low, one.high), 3)


def cases(seed: int) -> tuple[dict, dict, dict]:
    """Every question of the course with answers and measurements by chance; some have none."""
    rng = random.Random(seed)
    keys = rng.sample(sorted(EVERY), 20)
    questions = {key: EVERY[key] for key in sorted(keys)}
    answers = {
        key: answered(one, some_value(one, rng), rng.random() < 0.5, late=rng.random() < 0.3)
        for key, one in questions.items()
        if rng.random() < 0.8
    }
    measured = {key: float(some_value(one, rng)) for key, one in questions.items() if rng.random() < 0.9}
    return questions, answers, measured


def test_the_front_end_counts_as_python_does(node):
    given = [cases(seed) for seed in range(12)]
    value = [
        {
            "questions": [one.sent() for one in questions.values()],
            "answers": {k: {"answer": a.answer, "sure": a.sure, "late": a.late} for k, a in answers.items()},
            "measured": {k: {"place": at, "shown": ""} for k, at in measured.items()},
        }
        for questions, answers, measured in given
    ]
    program = "value.map((each) => m.calibration(each.questions, each.answers, each.measured))"
    theirs = javascript(node, "prediction_view/rule", program, value)
    assert theirs == [calibration(*each)._asdict() for each in given]
    assert len({sum_["right"] for sum_ in theirs}) > 2 and all(sum_["surprise"] for sum_ in theirs)


def test_both_say_numbers_and_choices_in_the_same_words(node):
    numbers = [0, 0.5, 1 / 3, 1, 12.25, 1234.5, 1000.5, 999.5, -2.5, 1e-5, 0.000512, 99.95, 1e9, 30]
    units = ("%", "", "experts", "times", "ms", "GB", "nats per token")
    plain = [replace(EVERY["05.one_sheet"], unit=unit) for unit in units]
    program = "value[0].map((one) => value[1].map((n) => m.shown(one, n)))"
    shown = javascript(node, "prediction_view/rule", program, [[one.sent() for one in plain], numbers])
    assert shown == [[one.shown(number) for number in numbers] for one in plain]
    one = question("05.softmax_order")
    assert javascript(node, "prediction_view/rule", "m.shown(value, 1)", one.sent()) == one.shown(1)


def test_both_measure_the_same_distance_and_allow_the_same_answers(node):
    rng = random.Random(5)
    rows = [(one, some_value(one, rng), float(some_value(one, rng))) for one in EVERY.values() for _ in range(4)]
    program = "value.map(([q, a, at]) => [m.distance(q, a, at), m.isRight(q, a, at), m.allows(q, a)])"
    theirs = javascript(node, "prediction_view/rule", program, [(one.sent(), a, at) for one, a, at in rows])
    for (one, answer, at), (far, right, allowed) in zip(rows, theirs, strict=True):
        expected = distance(one, answer, at)
        assert allowed and right == is_right(one, answer, at)
        assert far is None if expected == float("inf") else far == pytest.approx(expected)  # JSON has no infinity


def test_a_page_allows_no_other_answers_than_python(node):
    hostile = ["0.5", None, True, [], {}, -1, 1e9, 0.25]
    for one in (question("05.one_sheet"), question("05.softmax_order")):
        program = "value[1].map((a) => m.allows(value[0], a))"
        allowed = javascript(node, "prediction_view/rule", program, [one.sent(), hostile])
        assert allowed == [_allowed(one, each) for each in hostile]


def _allowed(one: Question, value: object) -> bool:
    try:
        answered(one, value)
    except ValueError:
        return False
    return True


def test_every_step_of_every_slider_is_an_answer_and_is_found_again(node):
    sliders = [one.sent() for one in EVERY.values() if one.kind == "slider"]
    program = """value.map((q) => Array.from({ length: m.stepsOf(q) + 1 }, (_, i) => m.valueAt(q, i)).map((v, i, all) =>
      m.allows(q, v) && (i === 0 || v >= all[i - 1]) && Math.abs(m.positionOf(q, v) - i) <= (q.log ? 3 : 0)))"""
    for one, steps in zip(sliders, javascript(node, "prediction_view/rule", program, sliders), strict=True):
        assert all(steps), one["key"]


def test_the_sum_is_said_in_sentences(node):
    start = {"asked": 9, "answered": 0, "right": 0, "sure": 0, "sure_right": 0, "late": 0}
    start |= {"too_high": 0, "too_low": 0, "surprise": ""}
    sums = [
        start,
        start | {"answered": 7, "right": 4, "sure": 3, "sure_right": 3, "too_high": 2, "too_low": 1},
        start | {"answered": 2, "right": 1, "sure": 2, "sure_right": 1, "late": 2},
        start | {"answered": 7, "right": 7, "sure": 3, "sure_right": 3},
        start | {"answered": 7, "sure": 3},
    ]
    said = javascript(node, "prediction_view/rule", "value.map(m.sentences)", sums)
    none, some, late, *alike = map(" ".join, said)
    assert none.startswith("You predicted none of 9.")
    assert (
        "You predicted 7 of 9, and 4 came out right. You were sure of 3, and 3 of them did; of the other 4, 1 did."
        in some
    )
    assert "You were right more often where you were sure." in some and "2 too high, 1 too low" in some
    assert not any("more often" in one for one in alike)
    assert late.endswith("You were sure of each. 2 were given when the measurement stood on the page already.")


def views() -> list[PredictionView]:
    one, choice = question("05.one_sheet"), question("05.softmax_order")
    measured = {one.key: {"place": 0.97, "shown": "0.97"}, choice.key: {"place": 0, "shown": "the same"}}
    sent = [one.sent(), choice.sent()]
    return [
        PredictionView(mode="ask", questions=sent[:1]),
        PredictionView(mode="ask", questions=sent[1:]),
        PredictionView(mode="compare", questions=sent[:1], measured=measured),
        PredictionView(mode="compare", questions=sent[1:], measured=measured),
        PredictionView(mode="sum", questions=sent, measured=measured),
    ]


def test_each_mode_has_a_still_form_and_a_repr_of_its_own():
    for view, again in zip(views(), views(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data, metadata = view._repr_mimebundle_()
        assert data["text/plain"] == repr(view) == repr(again) and repr(view).startswith("<PredictionView")
        assert ("text/html" in data) == (view.mode == "ask") == ("image/png" not in data)
        if view.mode != "ask":
            assert view.questions[0]["ask"] in metadata["image/png"]["alt"]
    page = views()[1]._repr_mimebundle_()[0]["text/html"]
    assert all(choice in page for choice in question("05.softmax_order").choices)


def test_markup_in_a_question_is_shown_not_obeyed():
    one = question("05.softmax_order").sent() | {"ask": "<script>a</script>", "choices": ["<b>", "&"]}
    page = PredictionView(mode="ask", questions=[one])._repr_mimebundle_()[0]["text/html"]
    assert "&lt;script&gt;" in page and "&lt;b&gt; · &amp;" in page and "<script>" not in page


def test_a_state_is_json():
    for view in views():
        json.dumps({name: getattr(view, name) for name in ("questions", "answers", "measured", "given")})
