"""TrainingBoard in a real browser: what is written beside the curves has room there."""

import pytest

from moe_lessons.widgets import TrainingBoard

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py
from plain_page import plain_page  # tests/plain_page.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BEYOND = """() => [...document.querySelectorAll(".moe-training text.named")].map((text) =>
    text.getBoundingClientRect().right - text.ownerSVGElement.getBoundingClientRect().right)"""


@pytest.mark.parametrize("width", [1100, 700, 360])
def test_what_stands_beside_a_curve_is_not_cut(chromium, tmp_path, width):
    board = TrainingBoard(["json"], title="Arms")
    for name in ("16 choose 2", "31 choose 3, 1 shared"):
        run = board.run(name)
        run.start(20)
        for step in range(1, 21):
            run.point(step=step, seconds=step / 8, loss=5 / step, tokens=step * 10, lr=1.0)
        run.finish()
    path = tmp_path / "page.html"
    path.write_text(plain_page(board), encoding="utf-8")
    with lab.browser(width=width, height=900) as page:
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        page.wait_for_timeout(250)
        beyond = page.evaluate(BEYOND)
        assert len(beyond) == 2 and max(beyond) <= 0, beyond
