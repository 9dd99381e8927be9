"""A learner's first minutes, in a real JupyterLab and a real browser: open a lesson, run it, turn a knob."""

import json
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.browser, pytest.mark.slow]

TRACE = """
import numpy as np
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
    layers=(0, 1, 2), top_k=top_k, score_function="softmax", normalize=True, route_scale=1.0, model="synthetic",
)
"""


@pytest.fixture(scope="module")
def small_lesson(tmp_path_factory, chromium) -> Path:
    """A notebook with one RouterView on a made-up trace, and a plain slider after it."""
    folder = tmp_path_factory.mktemp("lesson")
    sources = [TRACE, "view = RouterView(trace)\nview", "view.describe()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "small.ipynb"
    nbformat.write(notebook, path)
    return path


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
