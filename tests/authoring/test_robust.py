"""A sweep over machines runs each lesson there, keeps what was measured, and finds what has no margin."""

import json

import nbformat
import pytest

from moe_lessons.authoring import __main__ as authoring
from moe_lessons.authoring import folder, robust
from moe_lessons.authoring.compare import differing_cells
from moe_lessons.authoring.robust import is_near, margin

LESSON = """
import os
from moe_lessons import measured
seed = int(os.environ.get("MOE_LESSONS_SEED", "0"))
measured("far", 5 + 0.1 * seed, above=1)
measured("too near", [9, 1.5 + seed], above=1)
measured("flips", 2 - seed, above=1)
measured("exact", 0, exactly=0)
"""


def statement(bound: str, limits: list[float], *values: list[float]) -> dict:
    return {"bound": bound, "limits": limits, "unit": "", "values": {str(i): each for i, each in enumerate(values)}}


def test_near_means_within_two_standard_deviations_of_the_nearest_value():
    found = margin(statement("above", [1.0], [2.0], [3.0], [4.0]))  # standard deviation 1, nearest value 1 away
    assert (found.flipped, found.nearest, found.spread) == ([], 1.0, 1.0) and is_near(found)
    assert not is_near(margin(statement("above", [0.0], [2.0], [3.0], [4.0])))  # 2 away
    assert is_near(margin(statement("between", [0.0, 5.0], [2.0], [3.0], [4.0])))  # 1 away from the upper limit


def test_a_value_that_never_moves_needs_no_room():
    assert not is_near(margin(statement("at_most", [1.0], [1.0], [1.0])))
    assert margin(statement("exactly", [0.0], [0.0], [1.0])).flipped == ["1"]
    assert margin(statement("above", [0.0], [float("nan")], [1.0])).flipped == ["0"]


def test_of_several_values_the_one_with_the_fewest_spreads_of_room_counts():
    found = margin(statement("above", [0.0], [10.0, 0.5], [11.0, 0.6]))
    assert found.nearest == 0.5 and found.spread < 0.1 and not is_near(found)
    assert is_near(margin(statement("above", [0.0], [10.0, 0.5], [40.0, 0.6])))


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(folder, "NOTEBOOKS", tmp_path / "notebooks")

    def write(source: str) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        nbformat.write(notebook, tmp_path / "notebooks" / "00_a.ipynb")

    return write


def test_a_sweep_names_what_flipped_and_what_came_near(lessons, capsys):
    lessons(LESSON)
    assert authoring.main(["robust", "--machines", "as stored, seed 1"]) == 1
    said = capsys.readouterr().out
    assert "near: too near" in said and "FLIPPED on seed 1: flips" in said
    assert ": far (" not in said and ": exact (" not in said
    assert "4 statements of 1 lessons; 3 flipped" in said  # nothing is stored
    kept = json.loads(robust.margins_file().read_text(encoding="utf-8"))["00_a"]["statements"]
    assert kept["too near"]["values"] == {"as stored": [9, 1.5], "seed 1": [9, 2.5]}


def test_a_later_sweep_adds_machines_and_another_code_begins_anew(lessons, capsys):
    lessons(LESSON)
    authoring.main(["robust", "--machines", "as stored"])
    authoring.main(["robust", "--machines", "seed 2"])
    assert set(robust.read_margins()["00_a"]["statements"]["far"]["values"]) == {"as stored", "seed 2"}
    lessons(LESSON + "\nraise KeyError('lost')")
    authoring.main(["robust", "--machines", "as stored"])
    lesson = robust.read_margins()["00_a"]
    assert set(lesson["statements"]["far"]["values"]) == {"as stored"} and "KeyError" in lesson["stopped"]["as stored"]
    assert "STOPPED on as stored" in capsys.readouterr().out


def test_a_bound_may_move_without_another_run_of_every_machine(lessons):
    lessons(LESSON)
    authoring.main(["robust", "--machines", "seed 1"])
    assert "above=1" in LESSON
    lessons(LESSON.replace("above=1", "above=0.5"))
    authoring.main(["robust", "--machines", "as stored"])
    moved = robust.read_margins()["00_a"]["statements"]["too near"]
    assert set(moved["values"]) == {"as stored", "seed 1"} and moved["limits"] == [0.5]


def test_a_machine_that_there_is_not_is_refused_and_one_that_this_processor_lacks_is_left_out(capsys, monkeypatch):
    assert authoring.main(["robust", "--machines", "abacus"]) == 1
    assert "choose from as stored" in capsys.readouterr().err
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    assert robust.choose("AVX2, AVX-512") == ["AVX2"]
    assert "AVX-512: left out" in capsys.readouterr().out
    assert robust.choose(quick=True) == list(robust.QUICK)


def test_the_switches_are_those_that_the_package_reads():
    from moe_lessons.training import optimizers

    assert robust.PRODUCTS == optimizers.SWITCH


def test_every_imitated_machine_is_one_that_torch_obeys():
    """The names of the instruction sets are those that torch itself reports."""
    import os
    import subprocess
    import sys

    for name, expected in (("SSE", "DEFAULT"), ("AVX2", "AVX2")):
        if name in robust.choose(name):
            code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
            env = {**os.environ, **robust.MACHINES[name].variables}
            run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
            assert run.stdout.strip() == expected


def with_output(source: str, *texts: str, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in texts]
    cell.outputs.append(nbformat.v4.new_output("display_data", data={"text/plain": "<Figure>", "image/png": texts[-1]}))
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("text"), cell])


def test_cells_are_compared_by_the_rules_that_nbval_follows():
    """Streams joined, carriage returns obeyed, measured digits and clocks left out, pictures and tagged cells too."""
    old = with_output("x", "12%|ab", "\ra: 0.31 (the sentence needs more than 0.1)\n")
    assert differing_cells(old, with_output("x", "a: 0.32 (the sentence needs more than 0.1)\n")) == []
    assert differing_cells(old, with_output("x", "b: 0.31 (the sentence needs more than 0.1)\n")) == [1]
    assert differing_cells(with_output("x", "in 3 s"), with_output("x", "in 4.5 s")) == []
    assert differing_cells(with_output("x", "3 experts"), with_output("x", "4 experts")) == [1]
    tags = ("nbval-ignore-output",)
    assert differing_cells(with_output("x", "1", tags=tags), with_output("x", "2", tags=tags)) == []
    with pytest.raises(ValueError, match="other cells"):
        differing_cells(old, with_output("y", "a"))


def test_a_sweep_names_cells_that_differ_but_not_where_the_seed_is_moved(lessons, capsys, tmp_path):
    lessons("import os\nprint(os.environ.get('OMP_NUM_THREADS'))")
    (tmp_path / "tests").mkdir()
    assert authoring.main(["robust", "--machines", "one thread, seed 1"]) == 1  # nothing is stored in this lesson
    said = capsys.readouterr().out
    assert "DIFFERS on one thread: cells 0" in said and "DIFFERS on seed 1" not in said
