"""The doctor's look at files: the cache and the course's own, damaged in every way."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from broken import half
from places import ROOT

from moe_lessons.checkup import files
from moe_lessons.checkup.check import REINSTALL
from moe_lessons.resources import data_path
from moe_lessons.text.corpus import course_corpus
from moe_lessons.training.checkpoint import load_checkpoint, save_checkpoint


def test_a_cache_that_cannot_be_written_is_moved(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file" / "cache"))
    check = files.check_cache()
    assert "Not a directory" in check.found or "exists" in check.found
    assert check.remedy == files.ELSEWHERE

    def refuse(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    assert files.check_cache().remedy.startswith("free some space")


def other_number(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "half of a corpus": ("corpus/*.safetensors", half, "built again"),
    "a corpus with one other bit": ("corpus/*.safetensors", other_number, "built again"),
    "half of a corpus's card": ("corpus/*.json", half, "built again"),
    "half of a ledger": ("ledger.json", half, "the ledger begins anew"),
    "a ledger without entries": ("ledger.json", lambda p: p.write_text("{}", encoding="utf-8"), "begins anew"),
    "a ledger of other entries": (
        "ledger.json",
        lambda p: p.write_text('{"entries": [{"claim_id": 3}]}', encoding="utf-8"),
        "the ledger begins anew",
    ),
    "a leaderboard of another shape": (
        "leaderboard.json",
        lambda p: p.write_text('{"rows": [{"name": "dice", "loss": "low"}]}', encoding="utf-8"),
        "the board begins anew",
    ),
    "an empty record of exercises": ("progress.json", lambda p: p.write_bytes(b""), "exercises begin anew"),
    "something else for exercises": ("progress.json", lambda p: p.write_text("{}", encoding="utf-8"), "begin anew"),
    "half of the predictions": ("predictions.json", half, "is lost, and lessons ask again"),
    "predictions of another shape": (
        "predictions.json",
        lambda p: p.write_text('{"answers": [{"key": "05.one_sheet"}]}', encoding="utf-8"),
        "is lost, and lessons ask again",
    ),
    "half of a membership": ("class/member.json", half, "you join it again"),
    "half of a class's keys": ("classroom/class.json", half, "a new code"),
    "half of a model": ("runs/model.safetensors", half, "write it again"),
    "half of its notes": ("runs/model.json", half, "write it again"),
    "half of a tokenizer": ("runs/model.tokenizer.json", half, "write it again"),
    "bytes that are no text": ("ledger.json", lambda p: p.write_bytes(b"\xff\xfe\x00"), "the ledger begins anew"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A cache as lessons and a class leave it: a corpus, a model with a tokenizer, and all that is noted in JSON."""
    from moe_lessons import ledger
    from moe_lessons.capstone.leaderboard import Row, keep
    from moe_lessons.classroom.keys import keys
    from moe_lessons.exercises.progress import remember
    from moe_lessons.outbox.membership import Membership, join
    from moe_lessons.predictions.answer import answered
    from moe_lessons.predictions.question import question
    from moe_lessons.predictions.store import remember as remember_prediction

    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOE_LESSONS_CACHE", str(folder))
        course_corpus(size_mb=0.01, progress=False)
        claim = next(line.claim for line in ledger.claims())
        ledger.settle(claim.id, 1.0, claim.units[claim.lessons[0]], "so", claim.lessons[0])
        remember("01.merge")
        keep(Row(name="dice", ours=False, seed=0, settings={}, conditions={}, refused="it is blind"))
        remember_prediction(answered(question("05.one_sheet"), 0))
        join(Membership(name="Ada", address="http://127.0.0.1:9", code="code"))
        keys(folder / "classroom")
        checkpoint = load_checkpoint(data_path("checkpoints/course-dense.safetensors"))
        save_checkpoint(folder / "runs" / "model", checkpoint.model)
        shutil.copy(data_path("tokenizer.json"), folder / "runs" / "model.tokenizer.json")
    return folder


def test_what_lessons_keep_is_whole(kept, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(kept))
    assert sum(path.is_file() and not path.name.startswith(".") for path in kept.rglob("*")) == 12
    assert files.check_cache().remedy == ""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_in_the_cache_is_named_with_what_removing_it_costs(kept, cache, damage):
    shutil.copytree(kept, cache)
    pattern, spoil, end = DAMAGE[damage]
    (path,) = cache.glob(pattern)
    spoil(path)
    check = files.check_cache()
    name = path.relative_to(cache).as_posix()
    # A corpus is an array with its card beside it: either's damage is the other's.
    named = name.replace(".json", ".safetensors") if pattern == "corpus/*.json" else name
    assert f"{named} is damaged (" in check.found, check
    assert f"remove {cache / name}" in check.remedy and end in check.remedy
    for line in check.remedy.split("; "):
        Path(line.removeprefix("remove ").partition(": ")[0]).unlink()
    assert files.check_cache().remedy == ""


def test_every_damaged_file_is_named_at_once(kept, cache):
    shutil.copytree(kept, cache)
    for name in ("ledger.json", "progress.json"):
        half(cache / name)
    shutil.copy(cache / "ledger.json", cache / "ledger.damaged.json")  # set aside by the ledger: no fault
    check = files.check_cache()
    assert "ledger.json" in check.found and "progress.json" in check.found and "damaged.json" not in check.found


# The course's own files


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A copy of the course's data and lessons that may be spoiled."""
    for folder in ("data", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("pictures"))
    monkeypatch.setattr(files, "data_path", lambda name="": tmp_path / "data" / name)
    monkeypatch.setattr(files, "notebooks_path", lambda: tmp_path / "notebooks")
    return tmp_path


def without_numbers(path: Path) -> None:
    model = load_checkpoint(path).model
    model.state_dict()["embedding.weight"][3, 5] = float("nan")
    save_checkpoint(path, model)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("data/tokenizer.json", half),
        ("data/checkpoints/course-moe.safetensors", half),
        ("data/checkpoints/course-dense.safetensors", without_numbers),
        ("data/models/deepseek-v3.toml", lambda path: path.write_text("name = \n", encoding="utf-8")),
        ("notebooks/00_start_here.ipynb", half),
    ],
)
def test_a_damaged_file_of_the_course_is_named(course, name, spoil):
    assert files.check_course().remedy == ""
    spoil(course / name)
    check = files.check_course()
    assert str(course / name) in check.found and check.remedy == REINSTALL
    (course / ".git").mkdir()
    assert f"git checkout -- {name}" in files.check_course().remedy


@pytest.mark.parametrize("name", ["claims.toml", "claims-2026.toml", "predictions"])
def test_a_missing_file_of_the_course_is_named(monkeypatch, name):
    there = files.data_path

    def found(wanted=""):
        if wanted == name:
            raise FileNotFoundError(f"data/{name} is missing")
        return there(wanted)

    monkeypatch.setattr(files, "data_path", found)
    assert files.check_course() == ("course", f"data/{name} is missing", REINSTALL, {})
