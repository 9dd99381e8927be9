"""CostView and ContextView in a real browser, as narrow as a phone: nothing is cut and nothing overprinted."""

import pytest

from moe_lessons import ModelConfig
from moe_lessons.widgets import ContextView, CostView

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py
from plain_page import plain_page  # tests/plain_page.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CUT = """() => [...document.querySelectorAll("svg text")].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < 0 || box.right > innerWidth;
}).map((text) => text.textContent)"""
BELOW = """() => [...document.querySelectorAll("svg text[text-anchor=middle]")]
    .map((text) => ({ box: text.getBoundingClientRect(), text: text.textContent }))
    .map(({ box, text }) => [box.top, box.left, box.right, text])"""


def views() -> dict[str, CostView | ContextView]:
    names = ("deepseek-v3", "llama-3.1-405b", "qwen3-235b-a22b", "deepseek-v4-flash")
    context = ContextView({name: ModelConfig.from_card(name) for name in names})
    context.conversations, context.context = 4096, 2**20
    return {"cost": CostView(devices=4096, context=131_072, batch=4096), "context": context}


@pytest.mark.parametrize("name", ["cost", "context"])
def test_on_a_phone_every_word_of_a_chart_is_there(chromium, tmp_path, name):
    path = tmp_path / "page.html"
    path.write_text(plain_page(views()[name]), encoding="utf-8")
    with lab.browser(width=360, height=900) as page:
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        page.wait_for_timeout(250)
        assert page.evaluate(CUT) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        rows: dict[float, list] = {}
        for top, left, right, text in page.evaluate(BELOW):
            rows.setdefault(round(top), []).append((left, right, text))
        for row in rows.values():
            for (_, end, one), (start, _, other) in zip(sorted(row), sorted(row)[1:], strict=False):
                assert end < start, f"{one} overprints {other}"


def test_one_device_is_no_devices(chromium, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(plain_page(CostView(preset="llama-3.1-8b")), encoding="utf-8")
    with lab.browser(width=900, height=900) as page:
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        assert "(1 device, 40% of the peaks)" in page.inner_text("#here")
