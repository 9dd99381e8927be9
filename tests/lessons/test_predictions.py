"""Predictions of the lessons and the questions behind them: each is asked, measured and summed up, in this order."""

import ast
import re

import nbformat
import pytest
from places import ROOT

from moe_lessons.predictions.question import lessons, question, questions_of

NOTEBOOKS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
SHOWN = re.compile(r"<PredictionView ([\w.]+): measured ([^\n]*)>")


def calls(notebook, name: str) -> list[tuple[int, ast.Call]]:
    """Each call of a name in a lesson's code, with the number of its cell."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            tree = ast.parse(re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE))
            found += [(number, each) for each in ast.walk(tree) if isinstance(each, ast.Call) and names(each) == name]
    return found


def names(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def asked_in(notebook, name: str) -> dict[str, int]:
    """The cell of each question; every one is called with its key, and once."""
    keys = [(call.args[0].value, number) for number, call in calls(notebook, name)]
    assert len(dict(keys)) == len(keys), f"{name} is called twice with one key"
    return dict(keys)


@pytest.fixture(params=lessons())
def lesson(request) -> str:
    return request.param


@pytest.fixture
def notebook(lesson):
    return nbformat.read(NOTEBOOKS[lesson], as_version=4)


def test_every_question_is_asked_once_in_the_order_of_its_file_and_then_measured(lesson, notebook):
    asked, measured = asked_in(notebook, "predict"), asked_in(notebook, "predicted")
    assert list(asked) == list(questions_of(lesson))
    assert set(measured) == set(asked)
    for key, number in asked.items():
        assert number < measured[key], f"{key} is measured before it is asked"


def test_a_question_stands_alone_in_its_cell_before_anything_that_answers_it(notebook):
    for _, cell in ((n, notebook.cells[n]) for n in asked_in(notebook, "predict").values()):
        assert re.fullmatch(r'predict\("[\w.]+"\)', cell.source.strip())


def test_the_lesson_is_summed_up_once_and_after_all_of_them(lesson, notebook):
    ((number, call),) = calls(notebook, "predictions")
    assert call.args[0].value == lesson and number > max(asked_in(notebook, "predicted").values())


def test_what_was_measured_lies_where_its_entry_says(lesson, notebook):
    outputs = (o.get("data", {}).get("text/plain", "") for c in notebook.cells for o in c.get("outputs", []))
    found = dict(match.groups() for text in outputs for match in SHOWN.finditer(text))
    assert set(found) == set(questions_of(lesson))
    for key, shown in found.items():
        one = question(key)
        if one.kind == "choice":
            assert any(shown == choice or shown.startswith(f"{choice} (") for choice in one.expected), (key, shown)
        else:
            value = float(re.match(r"-?[\d,]+(?:\.\d+)?", shown).group().replace(",", ""))
            low, high = one.expected
            assert low <= value <= high, (key, shown)


def test_no_prediction_is_a_sentence_that_nobody_can_answer(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert "**Predict" not in cell.source, cell.source


def test_no_answer_of_anybody_is_stored(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            assert "Predicted:" not in alt
