"""The German front page in a real browser: it speaks German, and finds what it shares with the English one."""

from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

from playwright.sync_api import expect
from site_page import MARKS, axe, opened

from moe_lessons.site.build import build_front
from moe_lessons.site.editions import editions

pytestmark = MARKS


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("web")
    build_front(root / "below" / "a path", editions(["de"]))
    (root / "index.html").touch()
    return root / "below" / "a path"


def test_the_german_front_page_speaks_german_and_its_model_answers(chrome, site):
    with opened(chrome, site, "de/index.html") as page:
        page.wait_for_selector("html[lang=de][data-ready=model]", timeout=60_000)
        expect(page.get_by_role("heading", level=1)).to_have_text("Wohin geht jedes Token?")
        page.locator("#router [data-panel=load]").click()
        page.locator("#text").fill("Zebras grasen")
        expect(page.locator("#router .moe-router-sentence")).to_contain_text("geht zu den Experten", timeout=10_000)
        expect(page.locator("#state")).to_have_text("Tippe: Jeder Tastendruck wird sofort verteilt.")
        page.get_by_role("switch").first.click()
        expect(page.locator("#router .moe-router-loss")).to_contain_text("mit angewandten Reglern", timeout=10_000)
        assert axe(page) == []
        said = page.locator("#router").inner_text()
        assert not [word for word in ("layer", "goes to", "Play", "Knobs", "Loss on", "expert ") if word in said]


def test_each_language_leads_to_the_other_and_english_fetches_no_words(chrome, site):
    with opened(chrome, site, "index.html") as page:  # a link that is followed earlier cuts the model's loading off
        page.wait_for_selector("html[lang=en][data-ready=model]", timeout=60_000)
        assert not page.evaluate("performance.getEntriesByType('resource').some((one) => /languages/.test(one.name))")
        page.get_by_role("link", name="Deutsch").click()
        page.wait_for_selector("html[lang=de][data-ready=model]", timeout=60_000)
        page.get_by_role("link", name="English").click()
        page.wait_for_selector("html[lang=en][data-ready=model]", timeout=60_000)
