"""`python -m moe_lessons.authoring times --gpu`: a report's seconds go into the table's last column."""

import json
import tomllib

import nbformat
import pytest

from moe_lessons.authoring import __main__ as authoring
from moe_lessons.authoring import folder, times
from moe_lessons.checkup.speed import LessonTimes

MACHINE = {"name": "a CPU", "cores": 2, "torch": "2.13.0"}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lessons, timed on a CPU alone."""
    for name in ("notebooks", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "TEACHING.md").write_text("before\n<!-- times -->\n<!-- end of times -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(folder, "NOTEBOOKS", tmp_path / "notebooks")
    for name in ("00_a", "01_b"):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title\n\nabout 30 minutes")])
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    times._write_times(LessonTimes(MACHINE, {"dense": 2.0, "moe": 1.0}, {"00_a": 50.0, "01_b": 60.0}, {"00_a": 400.0}))
    return tmp_path


def report(path, lessons: dict, **changes):
    machine = {"device": "NVIDIA H200", "torch": "2.13.0+cu130"}
    entries = {name: {"error": "no time"} if s is None else {"result": {"seconds": s}} for name, s in lessons.items()}
    whole = {"machine": machine, "device": "cuda", "quick": False, "lessons": entries} | changes
    path.write_text(json.dumps(whole), encoding="utf-8")
    return str(path)


def stored(course) -> dict:
    return tomllib.loads((course / "data" / "times.toml").read_text(encoding="utf-8"))


def test_the_column_is_filled_and_what_is_missing_is_named(course, capsys):
    assert authoring.main(["times", "--gpu", report(course / "r.json", {"00_a": 12.4, "01_b": None})]) == 0
    assert capsys.readouterr().out == "01_b: not in r.json\n"
    text = (course / "TEACHING.md").read_text(encoding="utf-8")
    assert "00_a.ipynb) | 30 | 50 | 400 | 12 |" in text
    assert "01_b.ipynb) | 30 | 60 | not measured | not measured |" in text
    assert "one NVIDIA H200 with PyTorch 2.13.0+cu130." in text
    found = stored(course)
    assert found["gpu"]["name"] == "NVIDIA H200" and found["gpu_seconds"] == {"00_a": 12.4}
    assert found["seconds"] == {"00_a": 50.0, "01_b": 60.0} and found["machine"] == MACHINE


def test_a_second_report_of_the_same_gpu_adds_and_one_of_another_begins_anew(course):
    authoring.main(["times", "--gpu", report(course / "r.json", {"00_a": 12.4})])
    authoring.main(["times", "--gpu", report(course / "r.json", {"01_b": 20.0, "99_gone": 1.0})])
    assert stored(course)["gpu_seconds"] == {"00_a": 12.4, "01_b": 20.0}
    other = {"device": "NVIDIA L4", "torch": "2.13.0+cu130"}
    authoring.main(["times", "--gpu", report(course / "r.json", {"01_b": 70.0}, machine=other)])
    assert stored(course)["gpu_seconds"] == {"01_b": 70.0}


def test_the_cpus_times_anew_leave_the_gpus_alone(course, monkeypatch):
    authoring.main(["times", "--gpu", report(course / "r.json", {"00_a": 12.4})])
    monkeypatch.setattr(times, "this_machine", lambda: {"name": "another", "cores": 9, "torch": "3"})
    monkeypatch.setattr(times, "tokens_per_second", lambda: {"dense": 9.0, "moe": 8.0})
    times.measure_times([course / "notebooks" / "00_a.ipynb"], lambda name, timing: None)
    assert stored(course)["gpu_seconds"] == {"00_a": 12.4} and set(stored(course)["seconds"]) == {"00_a"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"device": "cpu"}, "is of a CPU"),
        ({"quick": True}, "is of a tiny run"),
        ({"lessons": {"00_a": {"result": {}}}}, "is no whole report"),
        ({"lessons": []}, "is no whole report"),
        ({"machine": {}}, "is no whole report"),
    ],
)
def test_another_file_is_refused_and_nothing_changes(course, capsys, changes, sentence):
    before = stored(course)
    report(course / "r.json", {})
    whole = json.loads((course / "r.json").read_text(encoding="utf-8")) | changes
    (course / "r.json").write_text(json.dumps(whole), encoding="utf-8")
    assert authoring.main(["times", "--gpu", str(course / "r.json")]) == 1
    assert sentence in capsys.readouterr().err
    assert stored(course) == before
