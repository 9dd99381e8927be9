"""Predictions in a real browser: made from the keyboard, heard of by the pictures below, and as narrow as a phone."""

import json

import pytest

from moe_lessons.predictions.question import question, questions_of
from moe_lessons.widgets import PredictionView

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py
from plain_page import plain_page  # tests/plain_page.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MEASURED = {"05.one_sheet": {"place": 0.97, "shown": "0.97"}, "05.softmax_order": {"place": 0.0, "shown": "The same"}}


def shown(page, path, view: PredictionView, dark: bool = False):
    path.write_text(plain_page(view, dark=dark), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    return page.locator(".moe-prediction")


def asked(key: str) -> PredictionView:
    return PredictionView(mode="ask", questions=[question(key).sent()])


def given(page) -> list:
    return page.evaluate("() => window.model.state.given")


@pytest.fixture(scope="module")
def page(chromium):
    with lab.browser(width=700, height=500) as page:
        yield page


def test_a_slider_is_set_and_kept_by_keys(page, tmp_path):
    view = shown(page, tmp_path / "a.html", asked("05.one_sheet"))
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # I am sure
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert given(page) == ["05.one_sheet", 1.45, True, 1]
    assert "You predict 1.45, and are sure." in view.inner_text() and view.locator("button").inner_text() == "Change"


def test_where_a_slider_stands_at_first_is_no_answer(page, tmp_path):
    view = shown(page, tmp_path / "a.html", asked("08.entropy"))  # which is measured in the middle of its scale
    assert view.locator("output").inner_text() == "?"
    view.locator("button").click()
    assert given(page) == [] and "Move the slider first." in view.inner_text()
    view.locator("input[type=range]").click()  # in the middle, where it stands
    assert view.locator("output").inner_text() == "0.5"
    view.locator("button").click()
    assert given(page)[:2] == ["08.entropy", 0.5] and "Move" not in view.inner_text()


def test_a_choice_is_picked_by_its_number_and_kept_by_enter(page, tmp_path):
    view = shown(page, tmp_path / "a.html", asked("05.softmax_order"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert given(page) == [] and "Choose one first." in view.inner_text()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    assert given(page) == ["05.softmax_order", 1, False, 1] and "Choose one" not in view.inner_text()
    assert "You predict “Less than 0.1 apart”." in view.inner_text()
    page.keyboard.press("ArrowDown")  # only picks
    assert given(page)[1] == 1
    page.keyboard.press("Enter")
    assert given(page) == ["05.softmax_order", 2, False, 2]


@pytest.mark.parametrize("typed", ["many", "", "0", "1e9", "NaN", "Infinity", "<b>", "-3"])
def test_what_is_no_number_is_one_sentence_and_is_not_given(page, tmp_path, typed):
    view = shown(page, tmp_path / "a.html", asked("06.stacks"))
    view.locator("input[type=text]").fill(typed)
    page.keyboard.press("Enter")
    assert given(page) == [] and "Type a number from 1 to 1,000." in view.inner_text()


def test_a_typed_number_may_have_its_commas(page, tmp_path):
    view = shown(page, tmp_path / "a.html", asked("06.stacks"))
    view.locator("input[type=text]").fill(" 1,000 ")
    page.keyboard.press("Enter")
    assert given(page)[1] == 1000 and "You predict 1,000 stacks." in view.inner_text()


TELL = """([key, answer]) => document.dispatchEvent(
    new CustomEvent("moe-prediction", { detail: { key, answer } }))"""


def test_a_comparison_hears_of_a_prediction_and_says_whether_it_was_right(page, tmp_path):
    one = question("05.one_sheet")
    view = shown(page, tmp_path / "a.html", PredictionView(mode="compare", questions=[one.sent()], measured=MEASURED))
    assert "Loss of the best single sheet: 0.97. You did not predict it." in view.inner_text()
    assert view.locator("circle.answer").count() == 0
    page.evaluate(TELL, ["06.stacks", {"answer": 3, "sure": True}])  # of another question
    assert "did not predict" in view.inner_text()
    page.evaluate(TELL, [one.key, {"answer": 0.3, "sure": True}])
    assert "✗" in view.inner_text() and "You predicted 0.3, and were sure: a surprise." in view.inner_text()
    page.evaluate(TELL, [one.key, {"answer": 1.0, "sure": False}])
    assert "✓" in view.inner_text() and "You predicted 1." in view.inner_text()
    ring, diamond = (view.locator(css).bounding_box() for css in ("circle.answer", "path.measured"))
    assert ring["x"] > diamond["x"] and view.locator("circle.answer").count() == 1


def test_a_choice_is_compared_in_its_list(page, tmp_path):
    one = question("05.softmax_order")
    view = shown(
        page,
        tmp_path / "a.html",
        PredictionView(
            mode="compare", questions=[one.sent()], measured=MEASURED, answers={one.key: {"answer": 2, "sure": False}}
        ),
    )
    rows = [row.inner_text().split("\n") for row in view.locator("li").all()]
    assert "◆ measured" in rows[0][-1] and "○ you" in rows[2][-1] and len(rows[1]) == 1


def test_a_lesson_is_summed_up_with_its_largest_surprise(page, tmp_path):
    questions = [one.sent() for one in questions_of("05").values()]
    answers = {"05.one_sheet": {"answer": 0.1, "sure": True}, "05.softmax_order": {"answer": 0, "sure": False}}
    view = shown(
        page,
        tmp_path / "a.html",
        PredictionView(mode="sum", questions=questions, answers=answers, measured=MEASURED),
    )
    words = view.inner_text()
    assert "You predicted 2 of 14, and 1 came out right." in words
    assert "Your largest surprise" in words and "You said 0.1, and it was 0.97." in words
    view.locator("summary").press("Enter")
    assert view.locator("tbody tr").count() == 14 and "✗ off" in view.inner_text()


@pytest.mark.parametrize("key", ["05.one_sheet", "05.softmax_order", "06.stacks", "06.who_pays"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_question_is_as_narrow_as_a_phone_and_takes_little_room(page, tmp_path, key, dark):
    page.set_viewport_size({"width": 360, "height": 700})
    view = shown(page, tmp_path / "a.html", asked(key), dark=dark)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert view.bounding_box()["height"] < 230
    for control in view.locator("input, button").all():
        assert control.evaluate("e => (e.labels?.length ?? 0) > 0 || !!e.ariaLabel || !!e.textContent")
    page.set_viewport_size({"width": 700, "height": 500})


def test_a_question_that_holds_markup_is_shown_not_obeyed(page, tmp_path):
    one = question("05.softmax_order").sent() | {
        "ask": "<img src=x onerror=alert(1)>",
        "choices": ["<b>a</b>", "b", "c"],
    }
    view = shown(page, tmp_path / "a.html", PredictionView(mode="ask", questions=[one]))
    assert view.locator("img, .moe-prediction-choices b").count() == 0 and "<b>a</b>" in view.inner_text()
    assert page.problems == [] and json.dumps(given(page)) == "[]"
