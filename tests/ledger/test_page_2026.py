"""The ledger's second page: claims that are counted, claims that nobody can count, and the first page as it was."""

import math
import tomllib

import nbformat
import pytest
from places import NOTEBOOKS

from moe_lessons import ledger
from moe_lessons.ledger import closing, page_2026
from moe_lessons.model.hash_routes import HashRouter
from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path

pytestmark = pytest.mark.usefixtures("cache")

COUNTED = [line.claim for line in ledger.claims(2) if line.claim.lessons]
QUICK = [claim for claim in COUNTED if claim.id != "v4-routes-from-a-table"]


def test_a_claim_names_its_lessons_and_unit_or_says_why_it_is_not_countable():
    written = tomllib.loads(data_path("claims-2026.toml").read_text(encoding="utf-8"))
    for claim in written["claim"]:
        rest = set(claim) - {"id", "claim", "question"}
        assert rest in ({"unit", "lessons"}, {"not_countable"})
        assert set(claim.get("lessons", ())) <= set(written["lessons"])
    first = {line.claim.id for line in ledger.claims()}
    assert not first & {claim["id"] for claim in written["claim"]}


def test_every_countable_claim_has_its_measure_and_its_judge():
    assert set(page_2026.MEASURES_2026) == {(claim.id, lesson) for claim in COUNTED for lesson in claim.lessons}
    assert set(page_2026.JUDGES_2026) == {claim.id for claim in COUNTED}
    assert len(COUNTED) < len(ledger.claims(2))


@pytest.mark.parametrize("claim", QUICK, ids=lambda claim: claim.id)
def test_a_line_is_computed_and_judged_without_being_recorded(claim):
    entry = closing.measure(claim.id, "17")
    assert math.isfinite(entry.value) and entry.verdict.endswith(".") and entry.unit == claim.units["17"]
    assert page_2026.JUDGES_2026[claim.id]({"17": entry.value}).word == "right"
    assert ledger.show(2)[0].state == "open"


@pytest.mark.parametrize(
    ("claim", "value", "word"),
    [
        ("v4-parameters", 48.9, "right"),
        ("v4-parameters", 60.0, "wrong"),
        ("v4-arithmetic", 0.265, "right"),
        ("v4-arithmetic", 0.35, "half right"),
        ("v4-arithmetic", 0.9, "wrong"),
        ("v4-cache", 0.105, "right"),
        ("v4-cache", 0.2, "half right"),
        ("v4-cache", 1.1, "wrong"),
        ("v4-routes-from-a-table", 3.0, "right"),
        ("v4-routes-from-a-table", 0.0, "wrong"),
        ("v4-bits", 4.3, "right"),
        ("v4-bits", 16.0, "wrong"),
    ],
)
def test_a_verdict_follows_from_the_number(claim, value, word):
    assert page_2026.JUDGES_2026[claim]({"17": value}).word == word


@pytest.mark.parametrize("claim", QUICK, ids=lambda claim: claim.id)
def test_the_lesson_itself_settles_with_the_same_number(claim):
    [path] = NOTEBOOKS.glob("17_*.ipynb")
    shown = [output.get("data", {}).get("text/plain", "") for cell in nbformat.read(path, as_version=4).cells
             for output in cell.get("outputs", ())]  # fmt: skip
    entry = closing.measure(claim.id, "17")
    [settled] = [text for text in shown if text.startswith(f"Claim: {claim.claim}\n")]
    assert f"\nMeasured in lesson 17: {entry.shown} {entry.unit}\n" in settled


def test_the_id_decides_in_hash_layers_and_in_no_others():
    config = page_2026.small_v4()
    hashed = [isinstance(block.feed_forward.router, HashRouter) for block in Transformer(config, device="meta").blocks]
    same = page_2026.same_by_id(config, tokens=256)
    assert [share == 1 for share in same] == hashed and sum(hashed) == 3


def test_ids_that_are_dealt_anew_agree_with_no_table():
    config = page_2026.small_v4()
    same, luck = (page_2026.same_by_id(config, tokens=256, dealt_anew=anew) for anew in (False, True))
    assert max(luck) < 0.5 and all(by_luck < share for by_luck, share in zip(luck[:4], same[:4], strict=True))


def test_what_is_not_countable_cannot_be_settled_and_closes_with_its_reason(monkeypatch):
    with pytest.raises(ValueError, match="'v4-quality' is not countable"):
        ledger.settle("v4-quality", 1.0, "points", "Good.", "17")
    for line in page_2026.MEASURES_2026:
        monkeypatch.setitem(page_2026.MEASURES_2026, line, lambda: page_2026.Measured(0.1, "{:.2f}", "Stand-in."))
    closed = closing.close(2)
    assert closed.verdicts["v4-quality"] == "not countable"
    line = next(each for each in closed if each.claim.id == "v4-quality")
    assert line.entries == () and line.judgment.why == line.claim.not_countable and line.claim.not_countable
    assert line.claim.not_countable in repr(ledger.show(2)) and "not countable" in ledger.show(2)._repr_html_()


def test_settling_on_the_second_page_leaves_the_first_alone():
    unit = next(claim.units["17"] for claim in COUNTED if claim.id == "v4-cache")
    entry = ledger.settle("v4-cache", 0.105, unit, "Counted.", "17", show="{:.1%}")
    assert "Measured in lesson 17: 10.5%" in repr(entry)
    assert {line.claim.id: line.state for line in ledger.show(2)}["v4-cache"] == "settled"
    assert all(line.state == "open" for line in ledger.show())


@pytest.mark.parametrize("page", [0, 3, "2"])
def test_a_page_that_there_is_not_is_refused(page):
    with pytest.raises(ValueError, match=r"^page is .*, but the ledger's pages are 1 to 2$"):
        ledger.claims(page)
