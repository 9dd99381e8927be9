"""Whatever writes a file leaves the old one or the new one, and nothing beside it."""

import ast
import warnings
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_notebook
from places import PACKAGE

from moe_lessons.authoring import folder
from moe_lessons.commands.copy import copy_lessons
from moe_lessons.exercises.progress import remember
from moe_lessons.files import replacing
from moe_lessons.records import RecordFile
from moe_lessons.text.corpus import course_corpus
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import RoutingTrace
from moe_lessons.training.checkpoint import write_atomically


def names(place: Path) -> list[str]:
    """All files below a folder but locks."""
    return sorted(path.name for path in place.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_the_new_file_appears_when_the_block_ends_and_has_the_usual_rights(tmp_path):
    path, usual = tmp_path / "new" / "file.txt", tmp_path / "usual"
    usual.write_text("", encoding="utf-8")
    with replacing(path) as scratch:
        scratch.write_text("whole", encoding="utf-8")
        scratch.chmod(0o600)  # as safetensors does
        assert scratch.parent == path.parent and scratch.name.startswith(".") and not path.exists()
    assert path.read_text(encoding="utf-8") == "whole"
    assert path.stat().st_mode == usual.stat().st_mode
    assert names(tmp_path) == ["file.txt", "usual"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("bad")])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(type(error)), replacing(path) as scratch:
        scratch.write_text("half", encoding="utf-8")
        raise error
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["file.txt"]


def test_two_writers_in_one_process_do_not_meet(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "first"  # whose block ended last
    assert names(tmp_path) == ["file.txt"]


def write_records(place: Path) -> None:
    RecordFile(book="book", key="rows", parse=int, piece="row", remedy="do it again").write([{"row": 1}])


def copy_a_lesson(place: Path) -> None:
    course = place.parent / "course"
    course.mkdir(exist_ok=True)
    (course / "00_a.ipynb").write_text("{}", encoding="utf-8")
    copy_lessons(place, course)


WRITERS = {
    "records": write_records,
    "exercises": lambda place: remember("00.merge"),
    "a corpus": lambda place: course_corpus(size_mb=0.01, progress=False),
    "a checkpoint": lambda place: write_atomically(place / "model", lambda scratch: scratch.write_bytes(b"weights")),
    "a trace": lambda place: RoutingTrace.from_logits(np.zeros((1, 1, 2)), ["a"]).save(place / "trace"),
    "a tokenizer": lambda place: Tokenizer.load().save(place / "tokenizer.json"),
    "a lesson": lambda place: folder.write(new_notebook(), place / "00_a.ipynb"),
    "a copy": copy_a_lesson,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_cleans_up_behind_itself(tmp_path, monkeypatch, writer):
    place = tmp_path / "place"
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(place))

    def fail(scratch: Path, target: Path) -> None:
        assert scratch.exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some say so, some raise, one is silent
        try:
            WRITERS[writer](place)
        except OSError as error:
            assert "No space left on device" in str(error)
    assert place.is_dir() and names(place) == []


def test_no_other_module_renames_what_it_wrote():
    """A path's `replace` has one argument, a text's has two; a damaged record is moved aside as it is."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                renames = node.func.attr == "replace" and len(node.args) == 1 and not node.keywords
                if renames or node.func.attr in ("rename", "mkstemp", "NamedTemporaryFile"):
                    found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"files.py", "records.py"}
