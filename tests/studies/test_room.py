import json
import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from places import ROOT

from moe_lessons.studies import room


def lesson(tmp_path, *cells):
    path = tmp_path / "00_small.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def pictured(source: str, words: str):
    return new_code_cell(source, outputs=[new_output("display_data", data={"image/png": "", "text/plain": words})])


def test_a_learner_runs_as_far_as_the_first_live_picture(tmp_path):
    path = lesson(
        tmp_path,
        new_code_cell("a"),
        pictured("b", "<Figure size 1x1>"),
        pictured("c", "<PredictionView 00.first>"),
        pictured("d", "<View>"),
        pictured("e", "<View>"),
    )
    assert room.cells_until_picture(path) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="shows no live picture"):
        room.cells_until_picture(lesson(tmp_path, pictured("b", "<Figure size 1x1>")))


def test_lesson_00_begins_with_its_router():
    (source,) = room.cells_until_picture(ROOT / "notebooks" / "00_start_here.ipynb")
    assert "RouterView" in source


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux alone tells")  # noqa: PTH110
def test_a_process_holds_memory_and_one_that_ended_holds_none():
    mine = open("/proc/self/status", encoding="utf-8").read()  # noqa: PTH123, SIM115
    resident = int(mine.split("VmRSS:")[1].split()[0]) / 1000
    assert 0 < room.pss_mb(os.getpid()) <= resident * 1.05
    assert room.pss_mb(2**22 + 1) == 0


def test_what_is_kept_is_not_run_again_and_one_learner_is_not_kept_apart():
    assert room.missing([], [1]) == [(1, name) for name, arm in room.ARMS.items() if not arm.apart]
    kept = [{"learners": 4, "arm": "as it comes"}]
    assert room.missing(kept, [4]) == [(4, name) for name in room.ARMS if name != "as it comes"]


def test_an_arm_is_what_its_name_says(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in room.environment(room.ARMS["as it comes"], tmp_path)
    one = room.environment(room.ARMS["one thread"], tmp_path)
    assert one["OMP_NUM_THREADS"] == "1" and one["MOE_LESSONS_CACHE"] == str(tmp_path)


def test_a_room_that_does_not_fit_is_refused_before_anybody_enters(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "available_gib", lambda: 5.0)
    monkeypatch.setattr(room.asyncio, "run", lambda _: pytest.fail("a kernel was started"))
    with pytest.raises(ValueError, match=r"learners is 7, but 5.0 GiB of memory are free"):
        room.run("one thread", 7, tmp_path, 1)


@pytest.mark.slow
def test_a_small_room_is_measured_and_kept(monkeypatch, tmp_path):
    lesson(tmp_path, pictured("held = bytearray(50_000_000)", "<View>"))
    monkeypatch.setattr(room, "_TRAIN", "steps = {steps}")
    monkeypatch.setattr(room, "notebooks_path", lambda: tmp_path)
    monkeypatch.setattr(room, "server_mb", lambda: 90.0)
    monkeypatch.setattr(room, "ARMS", {"one thread": room.ARMS["one thread"]})
    out = tmp_path / "room.json"
    room.main(["--learners", "2", "--steps", "3", "--out", str(out)])
    study = json.loads(out.read_text(encoding="utf-8"))
    (row,) = study["runs"]
    assert row["learners"] == 2 and row["steps"] == 3 and study["server_mb"] == 90
    assert 0 < row["picture"]["median"] <= row["trained"]["last"] <= row["seconds"]
    assert 0 < row["cores_until_picture"] <= row["cores_until_trained"]
    assert row["mb_a_head"] > 50 and row["mb_all_most"] > 1.5 * row["mb_a_head"]
    before = out.read_bytes()
    room.main(["--learners", "2", "--steps", "3", "--out", str(out)])
    assert out.read_bytes() == before
    with pytest.raises(ValueError, match="steps is 4, but room.json was begun with 3"):
        room.main(["--learners", "2", "--steps", "4", "--out", str(out)])
