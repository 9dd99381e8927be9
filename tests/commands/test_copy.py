"""The copy of the lessons in which a learner works: it follows the course, and never overwrites what is theirs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from places import LESSONS, ROOT

from moe_lessons import cli
from moe_lessons.commands.copy import _is_as_shipped, copy_lessons
from moe_lessons.languages import VARIABLE, language


def lesson(text: str, **language: str) -> str:
    """A notebook of one cell; language_info is what Jupyter fills when it saves."""
    metadata = {"language_info": {"name": "python", **language}}
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": text}]
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path) -> Path:
    folder = tmp_path / "course"
    folder.mkdir()
    for name in ("00_a.ipynb", "01_b.ipynb"):
        (folder / name).write_text(lesson(name), encoding="utf-8")
    return folder


def test_a_copy_never_overwrites_what_a_learner_wrote(course, tmp_path):
    mine = tmp_path / "a" / "mine"
    assert copy_lessons(mine, course).new == ["00_a.ipynb", "01_b.ipynb"]
    (mine / "01_b.ipynb").write_text("my answers", encoding="utf-8")
    (course / "02_c.ipynb").write_text(lesson("new"), encoding="utf-8")
    again = copy_lessons(mine, course)
    assert again == (["02_c.ipynb"], [], ["00_a.ipynb"], ["01_b.ipynb"], [])
    (course / "01_b.ipynb").write_text(lesson("better"), encoding="utf-8")
    for _ in range(2):
        assert copy_lessons(mine, course) == ([], [], ["00_a.ipynb", "02_c.ipynb"], [], ["01_b.ipynb"])
    assert (mine / "01_b.ipynb").read_text(encoding="utf-8") == "my answers"
    assert sorted(path.name for path in mine.iterdir()) == [".copied.json", "00_a.ipynb", "01_b.ipynb", "02_c.ipynb"]


def test_a_lesson_that_nobody_touched_follows_the_course(course, tmp_path):
    copy_lessons(tmp_path / "mine", course)
    for text in ("better", "best"):
        (course / "01_b.ipynb").write_text(lesson(text), encoding="utf-8")
        assert copy_lessons(tmp_path / "mine", course).updated == ["01_b.ipynb"]
        assert (tmp_path / "mine" / "01_b.ipynb").read_text(encoding="utf-8") == lesson(text)


@pytest.mark.parametrize("record", [None, b"", b"[]", b"{\x00", b'{"00_a.ipynb": 3}'])
def test_without_a_record_of_what_was_copied_every_file_is_taken_for_the_learners(course, tmp_path, record):
    mine = tmp_path / "mine"
    copy_lessons(mine, course)
    (mine / ".copied.json").unlink()
    if record is not None:
        (mine / ".copied.json").write_bytes(record)
    (course / "00_a.ipynb").write_text(lesson("better"), encoding="utf-8")
    assert copy_lessons(mine, course).behind == ["00_a.ipynb"]
    assert (mine / "00_a.ipynb").read_text(encoding="utf-8") == lesson("00_a.ipynb")


def test_answers_written_into_the_courses_own_folder_are_never_taken_for_the_courses(course, tmp_path):
    """Who worked there, copied, and then let git restore the folder still has the answers in the copy."""
    (course / "00_a.ipynb").write_text(lesson("my answers", version="3.11.2"), encoding="utf-8")
    copy_lessons(tmp_path / "mine", course)
    (course / "00_a.ipynb").write_text(lesson("00_a.ipynb"), encoding="utf-8")
    assert copy_lessons(tmp_path / "mine", course).behind == ["00_a.ipynb"]
    assert "my answers" in (tmp_path / "mine" / "00_a.ipynb").read_text(encoding="utf-8")


def test_every_lesson_is_recognized_as_the_course_ships_it():
    assert all(_is_as_shipped(path.read_bytes()) for path in LESSONS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a limit on the size of files is for POSIX")
def test_a_copy_that_finds_no_room_leaves_no_half_lesson(course, tmp_path):
    code = """
import resource, signal, sys
from pathlib import Path
from moe_lessons.commands.copy import _is_as_shipped, copy_lessons
from moe_lessons.languages import VARIABLE, language
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
copy_lessons(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    (course / "01_b.ipynb").write_text(lesson("b" * 1000), encoding="utf-8")
    command = [sys.executable, "-c", code, str(tmp_path / "mine"), str(course)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "File too large" in run.stderr
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [".copied.json", "00_a.ipynb"]
    assert copy_lessons(tmp_path / "mine", course).new == ["01_b.ipynb"]


def test_what_the_copy_brings_is_trusted_and_what_a_learner_has_is_not(course, tmp_path, monkeypatch, capsys):
    from nbformat.sign import NotebookNotary

    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setattr("moe_lessons.commands.copy.notebooks_path", lambda: course)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "00_a.ipynb").write_text(lesson("from somewhere"), encoding="utf-8")
    assert cli.main(["copy", str(mine)]) == 0
    notary = NotebookNotary(data_dir=str(tmp_path / "jupyter"))
    trusted = {path.name: notary.check_signature(nbformat.read(path, as_version=4)) for path in mine.glob("*.ipynb")}
    assert trusted == {"00_a.ipynb": False, "01_b.ipynb": True}
    said = capsys.readouterr().out
    assert "1 lesson copied" in said and "yours kept: 00_a.ipynb" in said


def test_a_copy_refuses_a_file_and_the_course_itself(course, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="which is a file"):
        copy_lessons(tmp_path / "file", course)
    with pytest.raises(ValueError, match="own folder"):
        copy_lessons(course, course)


def test_a_name_that_the_terminal_has_no_letters_for_is_no_traceback(tmp_path):
    course = [sys.executable, "-m", "moe_lessons", "copy", str(tmp_path / "Übung")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(course, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert "\\xdcbung" in run.stdout


def test_a_folder_of_copies_keeps_its_language_and_a_lesson_without_a_catalog_says_so(course, tmp_path):
    mine = tmp_path / "mine"
    copy_lessons(mine, course, language="de")
    assert "Diese Lektion ist noch nicht übersetzt" in (mine / "01_b.ipynb").read_text(encoding="utf-8")
    assert copy_lessons(mine, course).same == ["00_a.ipynb", "01_b.ipynb"]
    (course / "01_b.ipynb").write_text(lesson("better"), encoding="utf-8")
    assert copy_lessons(mine, course).updated == ["01_b.ipynb"]
    assert "noch nicht" in (mine / "01_b.ipynb").read_text(encoding="utf-8")
    assert copy_lessons(mine, course, language="en").updated == ["00_a.ipynb", "01_b.ipynb"]
    assert (mine / "01_b.ipynb").read_text(encoding="utf-8") == lesson("better")


def test_another_language_leaves_what_the_learner_wrote(course, tmp_path):
    mine = tmp_path / "mine"
    copy_lessons(mine, course)
    (mine / "01_b.ipynb").write_text("my answers", encoding="utf-8")
    assert copy_lessons(mine, course, language="de").updated == ["00_a.ipynb"]
    assert (mine / "01_b.ipynb").read_text(encoding="utf-8") == "my answers"


def test_a_language_that_there_is_not_copies_nothing(course, tmp_path):
    with pytest.raises(ValueError, match="the language is 'fr', but the course has: en, de"):
        copy_lessons(tmp_path / "mine", course, language="fr")
    assert not (tmp_path / "mine").exists()


def test_the_kernel_of_a_german_copy_speaks_german(course, tmp_path, monkeypatch):
    copy_lessons(tmp_path / "mine", course, language="de")
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path / "mine")
    assert language() == "de"
