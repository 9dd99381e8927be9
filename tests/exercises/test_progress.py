"""What has been passed is kept, and losing it costs nothing."""

import pytest

from moe_lessons.exercises import check, progress
from moe_lessons.exercises.catalog import find

pytestmark = pytest.mark.usefixtures("cache")


def test_what_check_prints_does_not_depend_on_progress(capsys):
    reference = find("01.merge").reference
    check("01.merge", reference)
    first = capsys.readouterr().out
    check("01.merge", reference)
    assert capsys.readouterr().out == first
    passed = progress()["01"]
    assert {name for name, done in passed.items() if done} == {"merge"} and len(passed) > 1
    assert f"1 of {len(passed)}" in repr(progress()) and "✓ merge" in progress()._repr_html_()


@pytest.mark.parametrize("content", ["{", "[[1]]", "3", "\udcff"])
def test_a_spoiled_progress_file_is_forgotten(content, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "progress.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    check("01.merge", find("01.merge").reference)
    assert progress()["01"]["merge"]


def test_progress_that_cannot_be_written_is_silent(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file" / "below"))
    check("01.merge", find("01.merge").reference)
    assert "correct" in capsys.readouterr().out
    assert not progress()["01"]["merge"]
