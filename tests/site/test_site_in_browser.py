"""The site in a real browser: everything is alive, nothing leaves the host, and nothing complains."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from view_samples import by_words, causal, dense, random_loads

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

from playwright.sync_api import expect
from site_page import MARKS, TOOLS, axe, new_site, opened

from moe_lessons.exercises import quiz
from moe_lessons.figures.plane import PlaneRun
from moe_lessons.model.speculative import Speculation, Step
from moe_lessons.predictions import predict
from moe_lessons.site.build import build
from moe_lessons.site.serve import server
from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import (
    AttentionView,
    BudgetView,
    ContextView,
    CostView,
    DraftView,
    DropView,
    ExpertPlane,
    KeysView,
    LoadBoard,
    PlacementView,
    RouterView,
    SamplingView,
    SlotsView,
    StreamsView,
    TokenView,
    TrainingBoard,
    View,
)
from moe_lessons.widgets.keys_view.rule import KINDS
from moe_lessons.widgets.shared.state import state_of

pytestmark = MARKS
RNG = np.random.default_rng(0)


def a_trace() -> RoutingTrace:
    return RoutingTrace.from_logits(RNG.normal(size=(2, 12, 4)).astype(np.float32), list("a route here"), top_k=2)


def a_plane() -> ExpertPlane:
    weights = RNG.normal(size=(2, 3, 3, 3)).astype(np.float32)
    return ExpertPlane([PlaneRun("soft", np.arange(3) * 10, *weights, np.linspace(2, 1, 3), 1)])


def a_draft() -> DraftView:
    run = Speculation(np.array([range(6)]), [Step(4, [7], 1, 5, [0.5], [0.4])])
    return DraftView({("a", 1.0, 1): run}, lambda ids: [f"<{i}>" for i in ids])


def a_training_board() -> TrainingBoard:
    board = TrainingBoard(title="A run")
    for step in range(20):
        board.point(step=step, seconds=step / 10, loss=3 - step / 10, tokens=step)
    board.finish()
    return board


def a_load_board() -> LoadBoard:
    board = LoadBoard(title="Loads")
    run = board.run("bias")
    for step, load in enumerate(random_loads()):
        run.point(step=step, seconds=step, loss=3.0, tokens=step, load=load)
    run.finish()
    return board


#: One of each class of the course.
VIEWS = {
    "RouterView": lambda: RouterView(a_trace()),
    "TokenView": lambda: TokenView(by_words, "two words", {"english": "a sample"}),
    "AttentionView": lambda: AttentionView(list("abcde"), causal()),
    "BudgetView": lambda: BudgetView(dense()),
    "CostView": CostView,
    "ContextView": lambda: ContextView({"small": dense()}, context=64),
    "SamplingView": lambda: SamplingView({"then": RNG.normal(size=5)}, list("abcde")),
    "TrainingBoard": a_training_board,
    "LoadBoard": a_load_board,
    "DropView": lambda: DropView(a_trace()),
    "ExpertPlane": a_plane,
    "DraftView": a_draft,
    "PlacementView": lambda: PlacementView({"english": (RNG.integers(1, 9, (2, 8)), RNG.integers(1, 9, (2, 8)))}),
    "SlotsView": lambda: SlotsView({"a": a_trace()}),
    "PredictionView": lambda: predict("05.one_sheet"),
    "KeysView": lambda: KeysView(
        list("abcde"), RNG.normal(size=(2, 5, 5)), {kind: ("small", dense(), 0) for kind in KINDS}
    ),
    "StreamsView": StreamsView,
    "Quiz": lambda: quiz("00"),
}


def hosted(views: dict[str, View], site: Path) -> None:
    """Write a page that shows these widgets, as a lesson's page does."""
    (site / "pages").mkdir()
    places = []
    for name, view in views.items():
        (site / "pages" / f"{name}.json").write_text(json.dumps(state_of(view)), encoding="utf-8")
        places.append(
            f'<div class="moe-host" id="{name}" data-state="{name}.json"><div class="moe-host-widget">still</div>'
            '<p class="moe-host-note" role="status" hidden></p></div>'
        )
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>All</title><link rel="icon" href="data:,">
<body><main>{"".join(places)}</main><script type="module" src="../code/page.js"></script></body></html>"""
    (site / "pages" / "all.html").write_text(page, encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site without lessons, with a page of all widgets."""
    site = new_site(tmp_path_factory.mktemp("web"))
    hosted({name: make() for name, make in VIEWS.items()}, site)
    return site


@pytest.fixture(scope="module")
def lesson(site) -> Path:
    """The same site with two lessons."""
    pytest.importorskip("sphinx", reason="Sphinx, for the lessons' pages, is not installed; make site brings it")
    if not (TOOLS / "mathjax").exists():
        pytest.skip("mathjax is not installed; run npm ci")
    build(site, {"00", "01"}, say=lambda _: None)
    return site


def test_every_widget_of_the_course_is_alive_without_a_kernel(chrome, site):
    with opened(chrome, site, "pages/all.html") as page:
        for name in VIEWS:
            place = page.locator(f"#{name}")
            place.scroll_into_view_if_needed()
            page.locator(f"#{name}[data-live]").wait_for(timeout=20_000)
            expect(place.locator(".moe-view, .moe-quiz")).to_be_visible()  # its styles hang on this name
            assert len(place.inner_html()) > 500 and "still" not in place.inner_text().split("\n")


def test_a_board_plays_its_recording(chrome, site):
    with opened(chrome, site, "pages/all.html") as page:
        board = page.locator("#LoadBoard")
        board.scroll_into_view_if_needed()
        board.locator("button.moe-play").click()
        expect(board.locator("button.moe-play")).to_contain_text("Pause")


def test_a_lesson_is_alive_and_accessible_and_asks_nobody_else(chrome, lesson):
    with opened(chrome, lesson, "lessons/00_start_here.html") as page:
        places = page.locator(".moe-host[data-state]")
        assert places.count() >= 5
        for place in places.all():
            place.scroll_into_view_if_needed()
        expect(page.locator(".moe-host[data-state]:not([data-live])")).to_have_count(0, timeout=20_000)
        assert page.locator("img:not([alt])").count() == 0
        assert axe(page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_lesson_stands_in_its_theme_before_the_themes_code_has_come(chrome, lesson, dark):
    with server(lesson.parents[1]) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        page = chrome.new_page(color_scheme="dark" if dark else "light")
        page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
        page.goto(f"http://127.0.0.1:{serving.server_port}/below/a%20path/lessons/00_start_here.html")
        assert page.locator("html").get_attribute("data-theme") == ("dark" if dark else "light")
        page.close()
        serving.shutdown()


def test_a_question_in_a_lesson_is_answered_by_the_model_that_made_its_picture_and_by_no_other(chrome, lesson):
    with opened(chrome, lesson, "lessons/00_start_here.html") as page:
        reads, writes = (page.locator(".moe-host[data-view=RouterView]").nth(number) for number in (0, 1))
        for place in (reads, writes):
            place.scroll_into_view_if_needed()
            place.get_by_label("Your text").fill("Zebras graze")
            place.get_by_label("Your text").press("Enter")
            expect(place.locator("[aria-label^=Tokens]").first).to_contain_text("Z", timeout=30_000)
        counts = [len(place.locator("[aria-label^=Tokens]").first.inner_text()) for place in (reads, writes)]
        assert counts[1] > 2 * counts[0], "the lesson's second view writes on with each text"
    with opened(chrome, lesson, "lessons/01_text_to_tokens.html") as page:
        ours, bytes_ = (page.locator(".moe-host[data-view=TokenView]").nth(number) for number in (0, 1))
        for place in (ours, bytes_):
            place.scroll_into_view_if_needed()
            place.locator("textarea").fill("Zebras graze")
        expect(ours.locator(".moe-counts")).to_contain_text("12 bytes", timeout=30_000)
        expect(bytes_.locator(".moe-message")).to_contain_text("The tokenizer behind this picture is not on this page")


def test_tables_that_a_lesson_prints_are_tables_whose_links_lead_to_pages(chrome, lesson):
    with opened(chrome, lesson, "lessons/00_start_here.html") as page:
        table = page.locator(".cell_output table").filter(has_text="minutes")
        expect(table.locator("tbody tr")).to_have_count(len(list((ROOT / "notebooks").glob("*.ipynb"))))
        assert table.get_by_role("link", name="01 · Text becomes tokens").get_attribute("href").endswith("tokens.html")
        assert page.locator(".cell_output p").filter(has_text="| --").count() == 0
