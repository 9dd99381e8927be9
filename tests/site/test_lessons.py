"""Lessons on their way to a page: every widget keeps a place, every picture its words, every link its lesson."""

import json
import re

import nbformat
import numpy as np
import pytest
from places import LESSONS, PACKAGE
from view_samples import random_loads

from moe_lessons import widgets
from moe_lessons.authoring import folder, states
from moe_lessons.figures.paper import png
from moe_lessons.site.lessons import prepare, with_defaults
from moe_lessons.widgets import LoadBoard, TokenView
from moe_lessons.widgets.shared.state import plain, state_of


def lesson(*outputs: dict) -> nbformat.NotebookNode:
    kept = [nbformat.from_dict(each) for each in outputs]
    cell = nbformat.v4.new_code_cell("x = 1\n" * 20, id="00-001", outputs=kept)
    return nbformat.v4.new_notebook(cells=[cell])


def shown(text: str, alt: str = "What is seen", **data: str) -> dict:
    data = {"image/png": png(view().figure()), **data}
    return {
        "output_type": "display_data",
        "data": {"text/plain": text, **data},
        "metadata": {"image/png": {"alt": alt}},
    }


def view() -> TokenView:
    return TokenView(lambda text: ([1] * len(text), list(text)), "ab")


def page_of(prepared: nbformat.NotebookNode) -> str:
    return "".join(output.data["text/html"] for output in prepared.cells[0].outputs)


def test_a_widget_with_a_state_gets_a_place_that_names_it(tmp_path):
    kept = {"00-001": [state_of(view())]}
    page = page_of(prepare(lesson(shown("<TokenView: 2 bytes>")), "00_x", tmp_path, kept))
    name = re.search(r'data-state="\.\./widgets_of_lessons/([^"]+)"', page)[1]
    assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == kept["00-001"][0]
    assert 'alt="What is seen"' in page and re.search(r'moe-host-note" role="status" hidden', page)


def test_a_widget_without_a_state_keeps_its_picture_and_says_where_it_lives(tmp_path):
    page = page_of(prepare(lesson(shown("<TokenView: 2 bytes>")), "00_x", tmp_path, {}))
    assert "data-state" not in page and "<img" in page
    assert "The live one is in JupyterLab" in page and " hidden>" not in page


def test_two_widgets_of_a_cell_get_their_own_states_and_a_figure_between_them_gets_none(tmp_path):
    kept = {"00-001": [state_of(view()), state_of(LoadBoard())]}
    outputs = [shown("<TokenView: x>"), shown("<Figure size 1x1>"), shown("<LoadBoard>")]
    prepare(lesson(*outputs), "00_x", tmp_path, kept)
    written = {path.stem: json.loads(path.read_text(encoding="utf-8"))["name"] for path in tmp_path.glob("*.json")}
    assert written == {"00-001-1": "TokenView", "00-001-3": "LoadBoard"}


def test_a_picture_keeps_its_room_before_it_is_loaded(tmp_path):
    page = page_of(prepare(lesson(shown("<Figure size 1x1>", alt='"quoted" & <odd>')), "00_x", tmp_path, {}))
    (picture,) = tmp_path.glob("*.png")
    import matplotlib.image

    height, width = matplotlib.image.imread(picture).shape[:2]
    assert f'width="{width}" height="{height}"' in page
    assert 'alt="&quot;quoted&quot; &amp; &lt;odd&gt;"' in page


@pytest.mark.parametrize(
    ("source", "folds"),
    [
        ("%matplotlib inline\nimport torch\nfrom torch import nn\n\ntorch.set_num_threads(1)  # alone", True),
        ("import torch\nx = torch.ones(2)", False),
        ("print(1)", False),
    ],
)
def test_a_cell_that_only_imports_is_folded(tmp_path, source, folds):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, id="00-001")])
    cell = prepare(notebook, "00_x", tmp_path, {}).cells[0]
    assert ("hide-input" in cell.metadata.get("tags", [])) == folds


def test_an_exercise_that_nobody_solved_says_where_to_solve_it(tmp_path):
    stub = {"output_type": "stream", "name": "stdout", "text": "05.mixture: not attempted yet\n"}
    assert "make lab" in page_of(prepare(lesson(stub), "05_x", tmp_path, {}))


def test_a_link_in_an_output_leads_to_the_lessons_page(tmp_path):
    table = {"output_type": "display_data", "data": {"text/html": "<a href='04_training.ipynb'>4</a>"}, "metadata": {}}
    assert page_of(prepare(lesson(table), "00_x", tmp_path, {})) == "<a href='04_training.html'>4</a>"


def test_a_trait_that_a_widget_gained_since_takes_its_default():
    state = state_of(view())
    whole = dict(state["traits"])
    del state["traits"]["domains"], state["traits"]["message"]
    assert with_defaults(state)["traits"] == whole


def test_bytes_of_a_state_come_back_from_its_json():
    board = LoadBoard()
    run = board.run("bias")
    for step, load in enumerate(random_loads()):
        run.point(step=step, seconds=step, loss=3.0, tokens=step, load=load)
    run.finish()
    text = json.dumps(state_of(board))
    assert text == json.dumps(plain(json.loads(text)))  # nothing is left that JSON would change
    assert text.count("$bytes") >= 1


def test_a_number_of_numpy_in_a_state_is_refused_rather_than_lost():
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(plain({"a": np.float32(1)}))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_the_kept_states_are_those_of_the_widgets_that_the_lesson_shows(path):
    kept = states.read(path.stem)
    assert kept, f"no states of this lesson are kept; python -m moe_lessons.authoring states {path.name}"
    there = {}
    for cell in folder.read(path).cells:
        for output in cell.get("outputs", []):
            found = re.match(r"<(\w+)", output.get("data", {}).get("text/plain", ""))
            if found and found[1] in widgets.__all__:
                there.setdefault(cell.id, []).append(found[1])
    assert {cell: [state["name"] for state in each] for cell, each in kept.items()} == there


def test_the_sites_files_are_short_and_so_are_their_lines():
    for path in (PACKAGE / "site").rglob("*.*"):
        if path.suffix in {".js", ".py", ".css", ".html"}:
            lines = path.read_text(encoding="utf-8").splitlines()
            assert len(lines) <= 300 and max(map(len, lines), default=0) <= 120, path
