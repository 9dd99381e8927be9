"""Predictions in a real JupyterLab: made by keys, drawn beside the measurement, and there again after a new run."""

import json

import nbformat
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

import lab  # tests/lab.py

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CELLS = [
    'from moe_lessons.predictions import predict, predicted, predictions\n\npredict("05.one_sheet")',
    'predicted("05.one_sheet", 0.97)',
    'predictions("05")',
]


def test_a_prediction_is_made_compared_and_kept_while_nothing_waits_for_it(chromium, cache, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "small.ipynb")
    with lab.server(tmp_path) as address, lab.browser() as page:
        lab.open_notebook(page, address, "small.ipynb")
        lab.run_all(page)
        ask, compare, whole = (
            page.locator(f'.moe-prediction[data-mode="{mode}"]') for mode in ("ask", "compare", "sum")
        )
        assert "You did not predict it." in compare.inner_text() and "You predicted none of 14" in whole.inner_text()
        assert not (cache / "predictions.json").exists()

        ask.locator("input[type=range]").focus()
        page.keyboard.press("Home")
        for _ in range(6):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_timeout(2000)  # the kernel keeps it
        assert "You predict 0.3." in ask.inner_text()
        assert "Loss of the best single sheet: 0.97. You predicted 0.3: a surprise." in compare.inner_text()
        assert "You predicted 1 of 14, and 0 came out right." in whole.inner_text()
        (kept,) = json.loads((cache / "predictions.json").read_text(encoding="utf-8"))["answers"]
        assert (kept["key"], kept["answer"], kept["late"]) == ("05.one_sheet", 0.3, 1)

        page.keyboard.press("End")
        page.keyboard.press("Enter")
        page.wait_for_timeout(2000)
        assert "your prediction stands" in ask.inner_text() and "You predicted 0.3" in compare.inner_text()

        lab.run_all(page)
        assert "You predict 0.3." in ask.inner_text() and "You predicted 0.3" in compare.inner_text()
        assert page.problems == []
