"""The report writes down each part at once; what fails, or runs out of time, takes nothing with it."""

import json
import time

import pytest

from moe_lessons.gpu_report.report import NO_TIME, Part, read_report, write_report

HEAD = {"machine": {"device": "a GPU"}, "device": "cuda", "quick": False}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deep" / "report.json"


def quiet(line: str) -> None:
    pass


def fails(limit: float):
    raise RuntimeError("cell 3 failed:\n  Traceback\n  ZeroDivisionError: division by zero\n")


def test_each_part_is_in_the_file_before_the_next_begins(file):
    def second(limit):
        assert read_report(file)["bench"]["first"]["result"] == {"fast": 1}
        return 2

    parts = [Part("bench", "first", 9, lambda limit: {"fast": 1}), Part("bench", "second", 9, second)]
    report = write_report(file, HEAD, parts, quiet)
    assert report == read_report(file) and report["bench"]["second"]["result"] == 2
    assert [path.name for path in file.parent.iterdir()] == ["report.json"]


def test_a_part_that_fails_leaves_one_line_and_the_next_begins(file):
    said = []
    parts = [Part("bench", "bad", 9, fails), Part("bench", "good", 9, lambda limit: limit)]
    report = write_report(file, HEAD, parts, said.append)
    error = "cell 3 failed: ZeroDivisionError: division by zero"
    assert report["bench"]["bad"]["error"] == error and report["bench"]["good"]["result"] <= 9
    assert said == [f"bad: {error}", "good: 0 s"]


def test_what_cannot_be_written_as_json_is_no_way_to_lose_the_rest(file):
    parts = [Part("bench", "good", 9, lambda limit: 1), Part("bench", "bad", 9, lambda limit: object())]
    with pytest.raises(TypeError):
        write_report(file, HEAD, parts, quiet)
    assert read_report(file)["bench"] == {"good": {"result": 1, "took": 0.0}}


def test_no_part_begins_once_the_time_is_over(file):
    begun = []
    parts = [
        Part("bench", "long", 100, lambda limit: (begun.append(limit), time.sleep(0.3))[1]),
        Part("lessons", "late", 100, begun.append),
    ]
    report = write_report(file, HEAD, parts, quiet, allowed=5.1)
    assert begun == [pytest.approx(5.1, abs=0.2)] and report["lessons"]["late"] == {"error": NO_TIME}


def test_a_second_run_keeps_what_is_there_and_makes_what_is_not(file):
    write_report(file, HEAD, [Part("a", "x", 9, lambda limit: 1), Part("a", "y", 9, fails)], quiet)
    said = []
    parts = [Part("a", "x", 9, fails), Part("a", "y", 9, lambda limit: 2)]
    report = write_report(file, HEAD, parts, said.append)
    assert (report["a"]["x"]["result"], report["a"]["y"]["result"]) == (1, 2) and "error" not in report["a"]["y"]
    assert said[0] == "x: kept from an earlier run"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1, 2]", "is no report"),
        ("{", "is no report"),
        (json.dumps(HEAD | {"machine": {"device": "another"}}), "is of another machine"),
    ],
)
def test_another_file_is_refused_and_left_as_it_was(file, text, sentence):
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        write_report(file, HEAD, [Part("a", "x", 9, lambda limit: 1)], quiet)
    assert file.read_text(encoding="utf-8") == text
