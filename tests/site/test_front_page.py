"""The front page in a real browser: it answers whoever types, presses, or only looks on."""

import re
import threading
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

from playwright.sync_api import expect
from site_page import MARKS, axe, new_site, opened

from moe_lessons.resources import data_path
from moe_lessons.site.front import commands
from moe_lessons.site.serve import server
from moe_lessons.tracing import RoutingTrace

pytestmark = MARKS


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    return new_site(tmp_path_factory.mktemp("web"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_front_page_is_accessible_and_its_recorded_trace_has_living_knobs(chrome, site, dark):
    with opened(chrome, site, "index.html", dark=dark) as page:
        page.wait_for_selector("html[data-ready]")
        top_k = page.get_by_label("Top-k", exact=True)
        expect(page.locator("#router button.moe-play")).to_contain_text("Play", timeout=15_000)
        names = page.locator("#router [role=switch]").evaluate_all("all => all.map(one => one.ariaLabel)")
        landed = sum(int(re.search(r", (\d+) token", name)[1]) for name in names)
        assert landed == 2 * len(RoutingTrace.load(data_path("traces/course-moe.safetensors")).pieces)
        before = page.locator("#router p").all_inner_texts()
        top_k.focus()
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(200)
        assert top_k.input_value() == "1"
        assert page.locator("#router p").all_inner_texts() != before
        assert axe(page) == []


def test_a_sentence_typed_on_the_front_page_is_routed(chrome, site):
    with opened(chrome, site, "index.html") as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        page.locator("#text").fill("Zebras graze")
        expect(page.locator("#router")).to_contain_text("Z", timeout=10_000)
        for text in ("", "a" * 100_000):  # one sentence, and the page goes on
            page.locator("#text").fill(text)
            expect(page.locator("#router .moe-message")).to_be_visible()
            assert len(page.locator("#router .moe-message").inner_text().splitlines()) == 1
        page.locator("#text").fill("Zebras graze <script>alert(1)</script> 🙂 سلام")
        expect(page.locator("#router")).to_contain_text("<script>alert(1)</script>", timeout=10_000)


def test_the_recorded_sentence_costs_the_model_of_the_page_what_was_recorded(chrome, site):
    with opened(chrome, site, "index.html") as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        loss, text = page.locator("#router .moe-router-loss b"), page.locator("#text").input_value()
        recorded = loss.inner_text()
        page.locator("#text").fill("Zebras graze")
        expect(loss).not_to_have_text(recorded, timeout=10_000)
        page.locator("#text").fill(text)
        expect(loss).to_have_text(recorded, timeout=10_000)


def test_the_page_names_the_address_of_the_course_where_one_is_known(monkeypatch):
    for name, value in {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "someone/lessons"}.items():
        monkeypatch.setenv(name, value)
    assert commands().splitlines() == ["git clone https://github.com/someone/lessons && cd moe-lessons", "make lab"]
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert commands().splitlines() == ["cd moe-lessons", "make lab"]


def test_every_expert_that_is_pressed_on_the_front_page_is_answered_by_a_loss(chrome, site):
    with opened(chrome, site, "index.html") as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        loss, losses = page.locator("#router .moe-router-loss"), set()
        for expert in (3, 7, 12):
            page.get_by_role("switch").nth(expert).click()
            expect(loss).to_contain_text("with the knobs applied", timeout=10_000)
            losses.add(loss.locator("b").inner_text())
        assert len(losses) == 3


def test_no_frame_shows_an_empty_picture_while_the_model_writes(chrome, site):
    # An observer of sizes is called behind all of a frame's callbacks, just before it is painted.
    watch = """() => {
      const [probe, seen] = [document.body.appendChild(document.createElement("i")), window.seen = []];
      probe.style.cssText = "position: fixed; height: 1px; width: 1px";
      const bins = () => [...document.querySelectorAll("#router [role=switch]")];
      new ResizeObserver(() => seen.push(bins().filter((bin) => bin.ariaLabel).length)).observe(probe);
      const change = () => ((probe.style.width = `${1 + (seen.length % 9)}px`), requestAnimationFrame(change));
      change();
    }"""
    with opened(chrome, site, "index.html") as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        page.locator("#text").fill("Zebras graze")
        expect(page.locator("#router")).to_contain_text("Z", timeout=10_000)
        page.evaluate(watch)
        page.locator("#write").click()
        expect(page.locator("#write")).to_have_text("Let it write on", timeout=30_000)
        seen = page.evaluate("seen")
        assert len(seen) > 10 and set(seen) == {16}


def test_whoever_types_without_a_model_is_told_that_it_did_not_come(chrome, site):
    with server(site.parents[1]) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        page = chrome.new_page()
        page.route("**/model/**", lambda route: route.abort())
        page.goto(f"http://127.0.0.1:{serving.server_port}/below/a%20path/index.html")
        expect(page.locator("#state")).to_contain_text("The model did not come", timeout=20_000)
        page.locator("#text").fill("Zebras graze")
        expect(page.locator("#state")).to_contain_text("Check the connection and load the page again.")
        page.close()
        serving.shutdown()


def test_reset_takes_the_refusal_of_a_bin_along(chrome, site):
    with opened(chrome, site, "index.html") as page:
        page.wait_for_selector("html[data-ready]")
        expect(page.locator("#router button.moe-play")).to_contain_text("Play", timeout=15_000)
        for expert in range(15):
            page.get_by_role("switch").nth(expert).click()
        message = page.locator("#router .moe-message")
        expect(message).to_contain_text("Expert 14 stays")
        page.get_by_role("button", name="Reset", exact=True).click()
        expect(message).to_be_hidden()


def test_play_mode_leaves_nothing_below_the_edge_of_a_projector(chrome, site):
    with opened(chrome, site, "index.html", width=1920, height=1080) as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        page.keyboard.press("f")
        page.wait_for_timeout(1500)  # the first text is routed, and its picture has found its size
        assert page.evaluate("document.body.scrollHeight") <= 1080
        page.keyboard.press("Escape")


def test_play_mode_changes_prompts_and_switches_an_expert_off_and_on_again_until_escape_leaves_it(chrome, site):
    with opened(chrome, site, "index.html") as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        page.clock.install()
        page.locator("#router [type=range]").first.focus()  # the router keeps keys from JupyterLab, but not this one
        page.keyboard.press("f")
        assert page.locator("body.playing").count() == 1
        seen, texts = [], set()
        for _ in range(90):
            page.clock.fast_forward(1000)
            off = page.get_by_role("switch").filter(has_text="off").count()
            texts.add(page.locator("#text").input_value())
            if seen[-1:] != [off]:
                seen.append(off)
            if len(seen) > 2:
                break
        assert seen[:3] == [0, 1, 0] and len(texts) > 3
        page.keyboard.press("Escape")
        assert page.locator("body.playing").count() == 0


def test_the_front_page_fits_a_phone_and_weighs_at_most_250_kb(chrome, site):
    with opened(chrome, site, "index.html", width=390) as page:
        page.wait_for_selector("html[data-ready=model]", timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        sizes = page.evaluate("performance.getEntriesByType('resource').map(each => [each.name, each.decodedBodySize])")
    size = sum(bytes_ for name, bytes_ in sizes if ".safetensors" not in name) + (site / "index.html").stat().st_size
    assert size <= 250_000


def test_a_page_from_a_file_says_what_to_type(chrome, site):
    page = chrome.new_page()
    page.goto((site / "index.html").as_uri())
    assert "type: moe-lessons site" in page.locator("#state").inner_text()
    page.close()
