"""Every recorded prediction of the lessons on a page without a kernel: answered by keys, rightly and wrongly."""

import json
from pathlib import Path

import pytest
from places import ROOT

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

from playwright.sync_api import Locator, Page, expect
from site_page import MARKS, axe, new_site, opened

from moe_lessons.authoring import states
from moe_lessons.predictions.calibration import is_right
from moe_lessons.predictions.question import Question, lessons, questions_of

pytestmark = MARKS


def recorded(lesson: str) -> list[dict]:
    """The states of a lesson's predictions, in the order of its cells."""
    kept = states.read(next((ROOT / "notebooks").glob(f"{lesson}_*.ipynb")).stem)
    return [one for cell in sorted(kept) for one in kept[cell] if one["name"] == "PredictionView"]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site without lessons, with a page of the predictions of each."""
    site = new_site(tmp_path_factory.mktemp("web"))
    (site / "pages").mkdir()
    for lesson in lessons():
        places = []
        for number, state in enumerate(recorded(lesson)):
            name = f"{lesson}-{number}.json"
            (site / "pages" / name).write_text(json.dumps(state), encoding="utf-8")
            places.append(
                f'<div class="moe-host" data-state="{name}"><div class="moe-host-widget">still</div>'
                '<p class="moe-host-note" role="status" hidden></p></div>'
            )
        head = f'<meta charset="utf-8"><title>{lesson}</title><link rel="icon" href="data:,">'
        body = f"<main><h1>Lesson {lesson}</h1>{''.join(places)}</main>"
        page = f'<!doctype html><html lang="en">{head}<body>{body}'
        page += '<script type="module" src="../code/page.js"></script></body></html>'
        (site / "pages" / f"{lesson}.html").write_text(page, encoding="utf-8")
    return site


def alive(page: Page) -> Locator:
    places = page.locator(".moe-host")
    for place in places.all():
        place.scroll_into_view_if_needed()
    expect(page.locator(".moe-host:not([data-live])")).to_have_count(0, timeout=60_000)
    return places


def answers_of(one: Question, measured: float) -> tuple[list[str], list[str]]:
    """Keys that answer rightly, and keys that answer as wrongly as can be, from the widget's first input on."""
    if one.kind == "choice":
        wrong = max(range(len(one.choices)), key=lambda index: abs(index - measured))
        return [str(int(measured) + 1)], [str(wrong + 1)]
    if one.kind == "number":
        far = one.low if abs(measured - one.low) > abs(measured - one.high) else one.high
        return [*f"{measured:g}"], [*f"{far:g}"]
    steps = 100 if one.log else round((one.high - one.low) / one.step)
    at = [
        one.low * (one.high / one.low) ** (i / steps) if one.log else one.low + i * one.step for i in range(steps + 1)
    ]
    best = min(range(steps + 1), key=lambda i: abs(at[i] - measured))
    wrong = "Home" if not is_right(one, one.low, measured) else "End"
    return ["Home", *["ArrowRight"] * best], [wrong]


@pytest.mark.parametrize("lesson", lessons())
@pytest.mark.parametrize("right", [True, False], ids=["rightly", "wrongly"])
def test_every_prediction_is_answered_by_keys_and_judged(chrome, site, lesson, right):
    questions = questions_of(lesson)
    with opened(chrome, site, f"pages/{lesson}.html", dark=not right) as page:
        places = alive(page)
        for place, state in zip(places.all(), recorded(lesson), strict=True):
            if state["traits"]["mode"] != "compare":
                continue
            (key,) = (question["key"] for question in state["traits"]["questions"])
            one, measured = questions[key], state["traits"]["measured"][key]["place"]
            words = json.dumps(one.ask, ensure_ascii=False)
            ask = page.locator(f'.moe-host:has(.moe-prediction[data-mode="ask"]:has-text({words}))')
            ask.locator("input").first.focus()
            for pressed in answers_of(one, measured)[0 if right else 1]:
                page.keyboard.press(pressed)
            page.keyboard.press("Enter")
            expect(place).to_contain_text("You predicted")
            expect(place.locator(".moe-prediction-sign")).to_have_text("✓" if right else "✗")
        whole = page.locator('.moe-prediction[data-mode="sum"] [role=status]')
        n = len(questions)
        expect(whole).to_contain_text(f"You predicted {n} of {n}, and {n if right else 0} came out right.")
        expect(whole).to_contain_text(f"{n} were given when the measurement stood on the page already.")
        assert ("largest surprise" in whole.inner_text()) == (not right)
        assert axe(page) == []


def test_what_was_predicted_is_there_after_the_page_was_loaded_again_and_stands(chrome, site):
    with opened(chrome, site, "pages/05.html", width=360) as page:
        alive(page)
        ask = page.locator('.moe-prediction[data-mode="ask"]').first
        for _ in range(2):
            ask.locator("input[type=range]").focus()
            page.keyboard.press("Home")
            page.keyboard.press("Enter")
            expect(ask).to_contain_text("You predict 0.")
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            page.reload()
            alive(page)
            expect(ask).to_contain_text("You predict 0.")
        ask.locator("input[type=range]").focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        expect(ask).to_contain_text("your prediction stands")
        expect(page.locator('.moe-prediction[data-mode="compare"]').first).to_contain_text("You predicted 0")
