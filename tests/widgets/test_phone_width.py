"""The widgets of lessons 01 to 04 fit a page as narrow as a phone."""

import numpy as np
import pytest
from view_samples import by_words, causal, dense

from moe_lessons.widgets import AttentionView, BudgetView, SamplingView, TokenView

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py
from plain_page import plain_page  # tests/plain_page.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]
VIEWS = {
    "tokens": lambda: TokenView(by_words, "a few words", {"a domain": "more words"}),
    "attention": lambda: AttentionView([f"token {i}" for i in range(143)], causal(2, 4, 143)),
    "budget": lambda: BudgetView(dense()),
    "sampling": lambda: SamplingView(np.linspace(0, 3, 50), [f"piece {i}" for i in range(50)]),
}


@pytest.fixture(scope="module")
def page(chromium):
    with lab.browser(width=390, height=800) as page:
        yield page


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_stands_outside_a_page_of_390_pixels(page, tmp_path, name):
    path = tmp_path / "a.html"
    path.write_text(plain_page(VIEWS[name]()), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
