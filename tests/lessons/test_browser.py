"""A learner's first minutes, in a real JupyterLab and a real browser: open a lesson, run it, turn a knob."""

import json
from pathlib import Path

import nbformat
import pytest
from places import ROOT

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRACE = """
import numpy as np
from moe_lessons.routing_rule import RoutingRule
from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import RouterView

rng = np.random.default_rng(0)
layers, tokens, experts, top_k = 3, 24, 8, 2
logits = rng.normal(size=(layers, tokens, experts)).astype(np.float32)
scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
chosen = np.argsort(-scores, axis=-1, kind="stable")[..., :top_k]
weights = np.take_along_axis(scores, chosen, -1)
trace = RoutingTrace(
    logits=logits, bias=np.zeros((layers, experts), np.float32), experts=chosen,
    weights=(weights / weights.sum(-1, keepdims=True)).astype(np.float32), token_ids=np.arange(tokens),
    pieces=[f"word{i}" for i in range(tokens)], position=np.arange(tokens), sequence=np.zeros(tokens, np.int64),
    layers=(0, 1, 2), rule=RoutingRule(top_k=top_k), model="synthetic",
)
"""


MODEL = """
from moe_lessons.resources import data_path
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import tracer
from moe_lessons.training import load_checkpoint
from moe_lessons.widgets import RouterView
ask = tracer(load_checkpoint(data_path("checkpoints/course-moe.safetensors")).model.eval(), Tokenizer.load())
view = RouterView(ask("Where does each token go?"), ask=ask)
view
"""


def write_notebook(folder: Path, sources: list[str]) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "small.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def small_lesson(tmp_path_factory, chromium) -> Path:
    """A notebook with one RouterView on a made-up trace, and a plain slider after it."""
    return write_notebook(
        tmp_path_factory.mktemp("lesson"), [TRACE, "view = RouterView(trace)\nview", "view.describe()"]
    )


@pytest.fixture(scope="module")
def lesson_with_a_model(tmp_path_factory, chromium) -> Path:
    """A notebook with one RouterView that may ask the shipped model, and a cell that says how its knobs stand."""
    return write_notebook(tmp_path_factory.mktemp("model"), [MODEL, "print(view.knobs, view.message)"])


def pictures(widget) -> str:
    """Everything that a widget draws, without its knobs: canvases, vector graphics, and colored elements."""
    return widget.evaluate(
        """root => JSON.stringify([
            [...root.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()),
            [...root.querySelectorAll("svg")].map(svg => svg.outerHTML),
            [...root.querySelectorAll("[style]")].filter(e => !e.matches("input")).map(e => e.getAttribute("style")),
        ])"""
    )


def turn(page, slider) -> None:
    """One step of a slider by the keyboard, to the side where there is room."""
    at_end = slider.evaluate("e => Number(e.value) >= Number(e.max)")
    slider.focus()
    page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
    page.wait_for_timeout(300)


def first_moved(page, widgets) -> str | None:
    """Turn the widgets' sliders one by one; what the first slider that changed its own widget's picture is called."""
    for widget in widgets:
        for slider in widget.locator("input[type=range]").all():
            if slider.is_visible() and slider.is_enabled():
                before, value = pictures(widget), slider.input_value()
                turn(page, slider)
                if slider.input_value() != value and pictures(widget) != before:
                    return slider.get_attribute("aria-label") or "a slider without a name"
    return None


def live_widgets(page) -> list:
    """The widgets of the course on the page: the output areas that hold an input of theirs."""
    return page.locator(".jp-OutputArea-output").filter(has=page.locator("input[type=range]")).all()


def test_a_slider_of_the_router_view_changes_the_picture_in_jupyterlab(small_lesson):
    with lab.server(small_lesson.parent) as address, lab.browser() as page:
        lab.open_notebook(page, address, small_lesson.name)
        lab.run_all(page)
        (widget,) = live_widgets(page)
        moved = first_moved(page, [widget])
        assert moved, "no slider changed the picture"
        assert page.problems == []


BOARD = """
from moe_lessons.widgets import TrainingBoard
board = TrainingBoard(title="A run")
display(board)
board.start(3)
for step in range(1, 4):
    board.point(step=step, seconds=step, loss=4 - step, tokens=10 * step)
board.finish()
"""


def test_two_traces_take_turns_a_theme_keeps_the_grid_and_a_board_lives_on(chromium, tmp_path):
    """What only a page can show: keys, a theme that is loaded while the page is hidden, an output that is redrawn."""
    other = "from dataclasses import replace\nRouterView(trace, compare=replace(trace, logits=-trace.logits))"
    lesson = write_notebook(tmp_path, [TRACE, other, BOARD])
    with lab.server(tmp_path) as address, lab.browser() as page:
        lab.open_notebook(page, address, lesson.name)
        lab.run_all(page)
        sides = page.locator(".moe-router-sides button")
        for panel in ("layers", "scores"):
            page.locator(f"[data-panel={panel}]").click()
        page.wait_for_timeout(300)
        page.locator(".moe-router-cells").focus()
        for pressed in ("true", "false"):
            page.keyboard.press("c")
            page.wait_for_timeout(300)
            assert sides.nth(1).get_attribute("aria-pressed") == pressed

        bars = page.locator(".moe-router-scores .column")
        bars.nth(2).focus()
        page.keyboard.press("Enter")  # highlights it
        page.wait_for_timeout(300)
        assert bars.nth(3).get_attribute("class").split().count("dim") == 1
        page.keyboard.press("Delete")  # switches it off
        page.wait_for_timeout(300)
        assert not any("dim" in bar.get_attribute("class").split() for bar in bars.all())

        grid = page.locator(".moe-router-cells canvas")
        before = grid.bounding_box()["width"]
        lab._menu(page, "Settings", "Theme", "JupyterLab Dark")
        page.wait_for_function("() => document.body.dataset.jpThemeName === 'JupyterLab Dark'")
        page.wait_for_timeout(3000)
        assert grid.bounding_box()["width"] == before

        assert page.locator(".moe-training").count() == 1
        assert "step 3 of 3" in page.locator(".moe-training").inner_text()
        assert page.problems == []


def test_knobs_are_dragged_applied_to_the_model_and_let_go(lesson_with_a_model):
    with lab.server(lesson_with_a_model.parent) as address, lab.browser() as page:
        lab.open_notebook(page, address, lesson_with_a_model.name)
        lab.run_all(page)
        view = page.locator(".moe-router")
        sentence, badge = view.locator(".moe-router-sentence"), view.locator(".moe-router-badge")
        view.scroll_into_view_if_needed()
        assert badge.inner_text() == "as it was"

        # A bin is pressed: its expert is off, and the loss answers.
        loss = view.locator(".moe-router-loss b")
        view.locator(".moe-bin").nth(9).click()
        page.wait_for_selector(".moe-router-badge.applied", timeout=20_000)
        before, after = (float(cost) for cost in loss.inner_text().split(" → "))
        assert before != after and "Expert 9 is off" in sentence.inner_text()
        view.locator(".moe-router-reset").click()
        page.wait_for_timeout(300)
        assert badge.inner_text() == "as it was"

        # What waited to be asked for.
        for panel in ("load", "scores", "guesses"):
            view.locator(f"[data-panel={panel}]").click()
        view.locator(".moe-router-open").click()
        page.wait_for_timeout(300)

        # A bar is dragged: its expert gets a bias, tokens, and a sentence that says so.
        column = view.locator(".moe-router-load .column").nth(6)
        tokens = int(column.locator(".value").text_content())
        column.scroll_into_view_if_needed()
        box = column.locator(".hit").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 45
        page.mouse.move(x, y)
        page.mouse.down()
        for step in range(1, 11):
            page.mouse.move(x, y - 6 * step)
        page.mouse.up()
        page.wait_for_timeout(300)
        bias = column.locator(".added").text_content()
        assert bias.startswith("+0.") and int(column.locator(".value").text_content()) > tokens
        assert badge.inner_text() == "what if" and "differ from the model’s own" in sentence.inner_text()
        assert view.locator(".moe-token.changed").count() > 0

        # By keys: the other row of bars has the same bias; Delete switches an expert off.
        other = view.locator(".moe-router-scores .column").nth(6)
        other.focus()
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(200)
        assert float(other.locator(".added").text_content()) == pytest.approx(float(bias) - 0.01)
        assert other.get_attribute("aria-valuenow") == str(round(float(bias) - 0.01, 3))
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Delete")
        page.wait_for_timeout(200)
        assert "off" in view.locator(".moe-router-load .column").nth(7).get_attribute("class")
        assert view.locator(".moe-router-load .column").nth(7).locator(".value").text_content() == "0"

        # A capacity strikes tokens out.
        slider = view.locator("[data-knob=capacity]")
        slider.fill("0.5")
        page.wait_for_timeout(200)
        assert "found no slot" in sentence.inner_text() and view.locator(".moe-token.dropped").count() > 0

        # The model reads the text with these knobs.
        view.locator(".moe-router-apply").click()
        page.wait_for_selector(".moe-router-badge.applied", timeout=20_000)
        assert "In the model, " in sentence.inner_text()
        before, after = (float(cost) for cost in view.locator(".moe-router-cost b").inner_text().split(" → "))
        assert before != after
        assert view.locator(".moe-router-changed > div").count() == 4
        assert view.locator(".moe-router-guesses .after").count() == 5

        # Another move is a question again, and Reset the model's own answer.
        slider.fill("0.75")
        page.wait_for_timeout(200)
        assert badge.inner_text() == "what if"
        view.locator(".moe-router-reset").click()
        page.wait_for_timeout(300)
        assert badge.inner_text() == "as it was" and view.locator(".moe-token.changed, .moe-token.dropped").count() == 0

        # A kept text is compared with the next one.
        view.locator(".moe-router-keep").click()
        page.wait_for_selector(".moe-router-sides button", timeout=10_000)
        view.locator("input[type=text]").fill("Where does each expert go?")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('.moe-router-sides button').innerText.includes('expert')")
        page.wait_for_timeout(300)
        assert "agree" in view.locator(".moe-router-stack").inner_text()
        view.locator(".moe-router-sides button").nth(1).click()
        page.wait_for_timeout(300)
        assert badge.inner_text() == "this is B" and "token" in view.locator(".moe-router-strip").inner_text()
        assert page.problems == []


@pytest.mark.parametrize("name", ["00_start_here"])
def test_a_learner_opens_a_lesson_runs_it_and_moves_a_slider(name, chromium):
    if not (ROOT / "notebooks" / f"{name}.ipynb").exists():
        pytest.skip("this lesson is not written yet")
    with lab.server(ROOT / "notebooks") as address, lab.browser() as page:
        lab.open_notebook(page, address, f"{name}.ipynb")
        assert not page.locator("text=official Jupyter news").count(), "a popup covers the lesson"
        lab.run_all(page)
        assert first_moved(page, live_widgets(page)), "no slider changed a picture"
        assert page.problems == []


def test_the_settings_of_the_test_are_json_that_jupyterlab_reads(tmp_path):
    files = list(lab.settings(tmp_path, dark=True).rglob("*.jupyterlab-settings"))
    assert len(files) == 4 and all(json.loads(file.read_text(encoding="utf-8")) for file in files)
