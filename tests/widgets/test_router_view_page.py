"""RouterView on a plain page, without a kernel: what hands, keys and eyes find there."""

import numpy as np
import pytest
from router_samples import make

from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import RouterView

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py
from plain_page import plain_page  # tests/plain_page.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(chromium):
    with lab.browser(width=1100, height=900) as page:
        yield page


@pytest.fixture
def show(page, tmp_path):
    """A function that opens a view on the page; afterwards nothing may have gone wrong there."""

    def opened(view, *, width=1100, reduced=True, dark=False):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(reduced_motion="reduce" if reduced else "no-preference")
        path = tmp_path / "page.html"
        path.write_text(plain_page(view, dark=dark), encoding="utf-8")
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        settle(page)
        return page

    yield opened
    assert page.problems == []


def settle(page) -> None:
    page.wait_for_timeout(250)


def state(page, name):
    return page.evaluate("name => window.model.get(name)", name)


def fills(page) -> list[float]:
    """How far each bin is filled."""
    return page.locator(".moe-bin-body").evaluate_all(
        "all => all.map(e => parseFloat(e.style.backgroundSize.slice(5)))"
    )


def test_a_stranger_sees_text_play_layer_and_top_k_and_nothing_else_to_turn(show):
    page = show(RouterView(make(tokens=20)))
    seen = [knob.get_attribute("data-knob") for knob in page.locator("[data-knob]").all() if knob.is_visible()]
    assert seen == ["layer", "topK"]
    assert page.locator(".moe-play").is_visible() and page.locator(".moe-token").count() == 20
    assert not any(panel.is_visible() for panel in page.locator(".moe-router-panel").all())
    assert not page.locator(".moe-router-reset").is_visible(), "nothing is turned yet"
    page.locator(".moe-router-open").click()
    assert page.locator("[data-knob=temperature]").is_visible()


def test_a_lesson_brings_the_knobs_and_panels_that_it_names(show):
    page = show(RouterView(make(), knobs=("temperature",), panels=("load",)))
    seen = [knob.get_attribute("data-knob") for knob in page.locator("[data-knob]").all() if knob.is_visible()]
    assert seen == ["temperature"]
    assert page.locator(".moe-router-load .column").first.is_visible()


def test_bins_are_filled_by_load_and_bear_their_counts(show):
    trace = make(tokens=30)
    view = RouterView(trace)
    page = show(view)
    load = np.bincount(trace.experts[trace.row(view.layer)].ravel(), minlength=6)
    assert page.locator(".moe-bin b").all_inner_texts() == [str(count) for count in load]
    assert np.argmax(fills(page)) == np.argmax(load)
    assert np.allclose(np.array(fills(page)) / max(fills(page)), load / load.max(), atol=0.01)


def test_a_token_that_is_pointed_at_is_followed_through_all_layers(show):
    trace = make(tokens=12)
    page = show(RouterView(trace))
    page.locator(".moe-token").nth(6).hover()
    settle(page)
    way = " → ".join(str(expert) for expert in trace.experts[:, 6, 0])
    words = page.locator(".moe-router-sentence > span").last.inner_text()
    assert f"Its first experts, layer by layer: {way}." in words and "“ t6”" in words
    for row in range(3):
        badges = page.locator(".moe-router-stack button").nth(row).locator("em:visible").all_inner_texts()
        assert badges == [str(expert) for expert in trace.experts[row, 6]]
    page.wait_for_timeout(600)
    assert page.locator("[aria-live=polite]").inner_text() == words, "and it is read aloud"


def test_a_pressed_bin_is_switched_off_and_its_tokens_go_to_their_next_best(show):
    trace = make(tokens=30)
    view = RouterView(trace)
    page = show(view)
    page.locator(".moe-bin").nth(2).click()
    page.mouse.move(1, 1)
    settle(page)
    view.off = [2]
    load = np.bincount(view.routing()[trace.row(view.layer)].experts.ravel(), minlength=6)
    counts = page.locator(".moe-bin b").all_inner_texts()
    assert counts == [str(count) if e != 2 else "off" for e, count in enumerate(load)]
    assert page.locator(".moe-bin").nth(2).get_attribute("aria-checked") == "false"
    assert "Expert 2 is off in every layer" in page.locator(".moe-router-sentence").inner_text()
    dim = [bin_.get_attribute("class").split().count("dim") for bin_ in page.locator(".moe-bin").all()]
    assert dim == [0] * 6, "only its own bin fades"
    page.locator(".moe-bin").nth(2).click()
    settle(page)
    assert state(page, "off") == []


def test_a_bin_that_is_needed_stays_on_and_says_why(show):
    page = show(RouterView(make(experts=2, top_k=2)))
    page.locator(".moe-bin").first.click()
    settle(page)
    assert page.locator(".moe-message").inner_text() == (
        "Expert 0 stays: each token needs 2, and fewer would be left; lower top-k."
    )
    assert state(page, "off") == []


def test_the_loss_is_asked_for_when_a_bin_is_pressed(show):
    view = RouterView(make(), apply=lambda *_: None)
    page = show(view)
    page.locator(".moe-bin").nth(1).click()
    settle(page)
    (message,) = page.evaluate("() => window.model.sent")
    assert message["apply"]["off"] == [1] and message["apply"]["top_k"] == 2


def test_tokens_fall_into_bins_layer_after_layer(show):
    trace = make(layers=2, tokens=10)
    page = show(RouterView(trace), reduced=False)
    page.locator(".moe-play").click()
    page.wait_for_timeout(120)
    assert state(page, "layer") == 0 and sum(map(int, page.locator(".moe-bin b").all_inner_texts())) < 20
    page.wait_for_function("() => window.model.get('layer') === 1", timeout=20_000)
    page.wait_for_function("() => document.querySelector('.moe-play').textContent.includes('Play')", timeout=20_000)
    settle(page)
    assert sum(map(int, page.locator(".moe-bin b").all_inner_texts())) == 20


def test_with_reduced_motion_layers_take_turns_and_nothing_falls(show):
    page = show(RouterView(make(layers=2, tokens=10)))
    page.locator(".moe-play").click()
    page.wait_for_timeout(300)
    assert sum(map(int, page.locator(".moe-bin b").all_inner_texts())) == 20, "the bins are full at once"
    page.wait_for_function("() => window.model.get('layer') === 1", timeout=20_000)


def test_keys_alone_walk_tokens_layers_and_bins(show):
    page = show(RouterView(make(tokens=12)))
    page.locator(".moe-token[tabindex='0']").focus()
    pinned = state(page, "pinned")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    settle(page)
    assert (state(page, "pinned"), state(page, "layer")) == (pinned - 1, 2)
    page.locator(".moe-bin[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    settle(page)
    assert state(page, "off") == [1]
    page.locator(".moe-router-stack button.here").focus()
    page.keyboard.press("ArrowUp")
    settle(page)
    assert state(page, "layer") == 1


def test_c_changes_between_two_traces_after_a_click_anywhere_in_the_view(show):
    page = show(RouterView(make(tokens=9), compare=make(tokens=5, seed=1)))
    assert page.locator(".moe-router-sides button").first.is_visible()
    page.locator(".moe-router-sentence").click()
    for side in (1, 0):
        page.keyboard.press("c")
        settle(page)
        assert state(page, "side") == side
    assert "of 5 agree" in page.locator(".moe-router-stack").inner_text()


def test_groups_have_borders_and_say_where_they_are_shut_out(show):
    page = show(RouterView(make(experts=8, n_groups=4, top_groups=2, tokens=20)))
    groups = page.locator(".moe-bin-group.bordered")
    assert groups.count() == 4
    assert [name.endswith("shut out") for name in groups.locator("small").all_inner_texts()].count(True) == 2
    assert "are shut out for it" in page.locator(".moe-router-sentence").inner_text()


@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize(
    ("tokens", "experts", "top_k"), [(71, 16, 16), (600, 64, 6), (30, 1024, 4), (1, 1, 1), (4096, 8, 2)]
)
def test_nothing_is_wider_than_the_page(show, width, tokens, experts, top_k):
    page = show(RouterView(make(layers=4, tokens=tokens, experts=experts, top_k=top_k)), width=width)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    boxes = page.locator(".moe-bin").evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
    assert len(boxes) == experts and max(boxes) <= width


def test_a_change_of_theme_shrinks_nothing_and_paints_anew(show):
    page = show(RouterView(make(tokens=40)))
    size = page.locator(".moe-router-stage").bounding_box()
    light = page.locator(".moe-router-ribbons").evaluate("canvas => canvas.toDataURL()")
    page.evaluate("""() => {
        document.body.style.cssText = "--jp-layout-color1: #111; --jp-content-font-color1: #eee; background: #111";
        document.body.dataset.jpThemeName = "JupyterLab Dark";
    }""")
    settle(page)
    assert page.locator(".moe-router-stage").bounding_box() == size
    chip = page.locator(".moe-token.pinned").evaluate("e => getComputedStyle(e).backgroundColor")
    assert sum(int(part) for part in chip[4:-1].split(",")) < 3 * 150
    assert page.locator(".moe-router-ribbons").evaluate("canvas => canvas.toDataURL()") != light


def test_a_view_that_is_made_while_hidden_is_drawn_when_it_is_seen(show):
    page = show(RouterView(make(tokens=40)))
    page.evaluate("""async () => {
        window.leave();
        const here = document.getElementById("here");
        here.replaceChildren();
        here.style.display = "none";
        const source = document.getElementById("module").textContent;
        const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        (await import(url)).default.render({ model: window.model, el: here });
        await new Promise(requestAnimationFrame);
        here.style.display = "";
    }""")
    settle(page)
    pixels = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(part => part > 0)"
    assert page.locator(".moe-router-ribbons").evaluate(pixels)


def test_what_a_text_may_hold_is_shown_and_never_run(show):
    trace = make(tokens=6)
    trace.pieces = ["<script>alert(1)</script>", "\n", "\t", "   ", "🎉", "</script><b>x</b>"]
    page = show(RouterView(trace))
    assert page.locator(".moe-token").nth(0).inner_text() == "<script>alert(1)</script>"
    assert page.locator(".moe-token").nth(1).inner_text() == "↵"
    assert page.locator(".moe-token").nth(3).inner_text() == "␣␣␣"
    assert page.locator(".moe-router b b").count() == 0


def test_a_view_that_is_left_stops_listening(show):
    page = show(RouterView(make()))
    page.evaluate("() => { window.leave(); window.model.set('layer', 0); window.model.set('pinned', 3); }")
    settle(page)


def test_scores_stand_on_bars_of_scores(show):
    trace = RoutingTrace.from_logits(np.random.default_rng(0).normal(size=(1, 8, 20)), list("abcdefgh"), top_k=16)
    view = RouterView(trace, panels=("scores",))
    page = show(view)
    scores = view.routing()[0].scores[view.pinned]
    chosen = page.locator(".moe-router-scores .column.strong")
    assert chosen.count() == 16
    for column in chosen.all():
        expert = int(column.get_attribute("data-expert"))
        assert column.locator(".value").text_content() == f"{scores[expert]:.2f}"
    boxes = [box for box in (value.bounding_box() for value in chosen.locator(".value").all()) if box]
    boxes.sort(key=lambda box: box["x"])
    assert all(a["x"] + a["width"] <= b["x"] + 1 for a, b in zip(boxes, boxes[1:], strict=False)), "overprinted"
