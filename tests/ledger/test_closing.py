"""The ledger's end: a number and a verdict for every claim, on any machine, and the same numbers as in the lessons."""

import inspect
import math
import re

import nbformat
import pytest
from places import NOTEBOOKS

from moe_lessons import ledger
from moe_lessons.ledger import closing, measures
from moe_lessons.text.sources import InstalledText

pytestmark = pytest.mark.usefixtures("cache")

LINES = [(line.claim.id, lesson) for line in ledger.claims() for lesson in line.claim.lessons]
QUICK = [
    line for line in LINES if line not in {("experts-by-prompt", "07"), ("experts-by-prompt", "13")} and line[1] != "11"
]
# Of the kind that changes between machines, or that is written in other words.
LOOSE = {"11"}


def test_every_line_of_the_ledger_has_its_function_and_every_claim_its_judge():
    assert set(closing.MEASURES) == set(LINES)
    assert set(closing.JUDGES) == {line.claim.id for line in ledger.claims()}
    assert all(inspect.getdoc(function) for function in closing.MEASURES.values())


@pytest.mark.parametrize("line", QUICK, ids="-".join)
def test_a_line_is_computed_without_being_recorded(line):
    entry = closing.measure(*line)
    claim = next(each.claim for each in ledger.claims() if each.claim.id == line[0])
    assert math.isfinite(entry.value) and entry.verdict.endswith(".")
    assert (entry.claim_id, entry.where, entry.unit) == (*line, claim.units[line[1]])
    assert all(each.state == "open" for each in ledger.show())


def test_a_kind_of_text_that_this_computer_lacks_is_left_out(monkeypatch):
    """As with Debian's python3-torch, which brings no C++ headers."""
    everything, read = measures.tokens_per_word(), measures.installed_text

    def lacking(name: str, **sizes: int) -> InstalledText:
        return InstalledText([], []) if name == "cpp" else read(name, **sizes)

    monkeypatch.setattr(measures, "installed_text", lacking)
    assert measures.tokens_per_word().value == everything.value


def settled_in(lesson: str) -> dict[str, str]:
    """What a lesson's stored outputs say that it settled: claim -> number and unit."""
    found = {}
    for path in NOTEBOOKS.glob(f"{lesson}_*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                text = output.get("data", {}).get("text/plain", "")
                if match := re.match(r"Claim: (.+)\nMeasured in lesson \d\d: (.+)\nVerdict", text):
                    found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("line", [line for line in QUICK if line[1] not in LOOSE], ids="-".join)
def test_the_lesson_itself_settles_with_the_same_number(line):
    settled = settled_in(line[1])
    entry = closing.measure(*line)
    claim = next(each.claim.claim for each in ledger.claims() if each.claim.id == line[0])
    if not settled:
        pytest.skip(f"lesson {line[1]} is not written yet")
    assert settled[claim] == f"{entry.shown} {entry.unit}"


def test_what_was_recorded_comes_first_and_the_rest_is_computed(monkeypatch):
    for line in LINES:
        if line not in QUICK:
            monkeypatch.setitem(closing.MEASURES, line, lambda: measures.Measured(0.5, "{:.2f}", "Stand-in."))
    ledger.settle("token-is-a-word", 1.05, "tokens per word", "Recorded.", "01")
    found = closing.close()
    assert len(found) == 7
    for line in found:
        assert [entry.where for entry in line.entries] == list(line.claim.lessons)
        assert line.judgment.word in ("right", "half right", "wrong") and line.judgment.why.endswith(".")
    word = next(line for line in found if line.claim.id == "token-is-a-word")
    assert (word.computed, word.entries[0].verdict, word.judgment.word) == (frozenset(), "Recorded.", "right")
    assert next(line for line in found if line.claim.id == "active-parameters").computed == {"09"}
    assert "(computed now)" in repr(found) and found._repr_html_().count("<th scope='row'>") == 7
    assert found.verdicts["active-parameters"] == "right"


@pytest.mark.parametrize(
    ("claim", "values", "word"),
    [
        ("active-parameters", {"09": 37.5e9}, "right"),
        ("active-parameters", {"09": 50e9}, "wrong"),
        ("experts-by-prompt", {"07": 0.6, "13": 0.5}, "half right"),
        ("experts-by-prompt", {"07": 0.1, "13": 0.1}, "right"),
        ("experts-by-prompt", {"07": 0.95, "13": 0.99}, "wrong"),
        ("token-is-a-word", {"01": 2.6}, "wrong"),
        ("token-is-a-word", {"01": 1.1}, "right"),
        ("cheap-and-unexplained", {"04": 0.3, "07": 0.07, "12": 5.6}, "half right"),
        ("cheap-and-unexplained", {"04": 0.3, "07": 0.07, "12": 500.0}, "wrong"),
        ("scarcity-made-inventive", {"10": 57.0, "11": 1.5, "15": 1.9}, "half right"),
        ("scarcity-made-inventive", {"10": 57.0, "11": 0.9, "15": 1.9}, "half right"),
        ("scarcity-made-inventive", {"10": 0.5, "11": 0.9, "15": 0.9}, "wrong"),
        ("the-field", {"13": 11.0}, "wrong"),
        ("the-field", {"13": 0.0}, "right"),
    ],
)
def test_a_verdict_follows_from_the_numbers(claim, values, word):
    assert closing.JUDGES[claim](values).word == word


def test_a_line_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="lesson '05' does not settle"):
        closing.measure("the-field", "05")
