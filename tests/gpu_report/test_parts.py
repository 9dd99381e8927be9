"""What the report is made of, each part run for real in its tiniest form; no timing is asserted."""

import json
from xml.etree import ElementTree

import nbformat
import pytest

from moe_lessons import cli
from moe_lessons.authoring import folder
from moe_lessons.authoring import times as lesson_times
from moe_lessons.checkup.speed import LessonTimes
from moe_lessons.gpu_report import parts as report_parts


@pytest.mark.slow
def test_the_whole_report_in_miniature(tmp_path, capsys):
    file = tmp_path / "report.json"
    command = ["bench", "--gpu-report", str(file), "--device", "cpu", "--quick", "--rounds", "1"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    for begin in ("dispatch at 16 x 8 x 4: ", "training, moe: ", "writing, dense: ", "GPU tests: ", "lessons: 1 of 1"):
        assert any(line.startswith(begin) for line in out.splitlines()), begin
    report = json.loads(file.read_text(encoding="utf-8"))
    assert list(report) == ["version", "machine", "device", "quick", "bench", "tests", "lessons"]
    assert list(report["bench"]) == ["layer", "training", "generation"]
    tests = report["tests"]["gpu"]["result"]
    assert tests["failed"] == 0 and tests["passed"] + tests["skipped"] > 10
    assert report["lessons"]["tiny"]["result"]["not_so"] == 0
    assert cli.main(command) == 0
    assert capsys.readouterr().out.count("kept from an earlier run") == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "cpu"], "--gpu-report measures a CUDA device, but torch"),
        (["--device", "cpu", "--quick", "--json"], "--gpu-report goes without --only and --json"),
        (["--device", "cpu", "--quick", "--only", "layer"], "--gpu-report goes without --only and --json"),
    ],
)
def test_what_it_cannot_do_it_says_in_one_sentence_before_it_writes(tmp_path, capsys, arguments, sentence):
    assert cli.main(["bench", "--gpu-report", str(tmp_path / "r.json"), *arguments]) == 1
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_longest_lessons_come_last_and_each_is_a_part(tmp_path, monkeypatch):
    for name in ("00_a", "01_b", "02_c"):
        nbformat.write(nbformat.v4.new_notebook(), tmp_path / f"{name}.ipynb")
    monkeypatch.setattr(folder, "NOTEBOOKS", tmp_path)
    known = LessonTimes({}, {}, {"00_a": 90.0, "01_b": 20.0, "02_c": 50.0}, {})
    monkeypatch.setattr(report_parts, "stored_times", lambda: known)
    parts = list(report_parts.parts("cuda", 3, quick=False))
    assert [part.name for part in parts] == ["layer", "training", "generation", "gpu", "01_b", "02_c", "00_a"]
    assert lesson_times.stored_times is not report_parts.stored_times


def test_a_lesson_is_timed_as_a_learner_begins_and_stays_as_it_is(tmp_path):
    path = tmp_path / "00_a.ipynb"
    source = "import os\nassert not os.listdir(os.environ['MOE_LESSONS_CACHE'])\nprint('not so: 1 is above 2')"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    before = path.read_bytes()
    found = report_parts.lesson(path, "cpu", 60)
    assert found["not_so"] == 1 and found["seconds"] > 0 and found["megabytes"] > 0
    assert path.read_bytes() == before


def test_a_lesson_sees_the_gpu_that_was_asked_for(monkeypatch):
    given = {}

    def execute(notebook, where, stop_after, **variables):
        given.update(variables)
        raise TimeoutError(f"still ran after {stop_after:.0f} s")

    monkeypatch.setattr(report_parts, "execute", execute)
    for visible, device, expected in ((None, "cuda", "0"), (None, "cuda:1", "1"), ("3", "cuda", "3")):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with pytest.raises(TimeoutError, match="after 7 s"):
            report_parts._tiny_lesson(device, 7)
        assert given["CUDA_VISIBLE_DEVICES"] == expected


def test_a_lesson_that_does_not_end_is_stopped(tmp_path):
    path = tmp_path / "00_a.ipynb"
    cell = nbformat.v4.new_code_cell("import time\ntime.sleep(600)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    with pytest.raises(TimeoutError, match=r"cell 1 of 1 \('import time'\) still ran after 8 s"):
        report_parts.lesson(path, "cpu", 8)


def test_a_section_that_fails_says_what_the_command_said():
    with pytest.raises(RuntimeError, match="^device is 'abacus', but must be"):
        report_parts.section("layer", "abacus", 1, 100)
    with pytest.raises(TimeoutError, match="still ran after 0 s"):
        report_parts.section("layer", "cpu", 1, 0.05)


def test_pytests_log_is_counted():
    log = """<testsuites><testsuite><testcase classname="a" name="x"/><testcase classname="a" name="y">
    <failure message="m"/></testcase><testcase classname="b" name="z"><skipped/></testcase>
    <testcase classname="b" name="e"><error/></testcase></testsuite></testsuites>"""
    counted = report_parts._counted(ElementTree.fromstring(log))
    assert counted == {"passed": 1, "failed": 2, "skipped": 1, "failures": ["a.y", "b.e"]}


def test_without_the_courses_folder_there_are_no_tests(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "NOTEBOOKS", tmp_path / "notebooks")
    with pytest.raises(RuntimeError, match="there are no tests in"):
        report_parts.gpu_tests(60)
