"""The ledger: claims without results in the data, results only from runs, and no file state that can stop a lesson."""

import json
import math
import tomllib

import pytest

from moe_lessons import ledger
from moe_lessons.resources import data_path

pytestmark = pytest.mark.usefixtures("cache")

WORD = {"claim_id": "token-is-a-word", "unit": "tokens per word", "where": "01"}


def test_the_claims_hold_no_result_and_name_existing_lessons():
    written = tomllib.loads(data_path("claims.toml").read_text(encoding="utf-8"))
    assert len(written["claim"]) == 7
    for claim in written["claim"]:
        assert set(claim) == {"id", "claim", "question", "unit", "lessons"}
        assert set(claim["lessons"]) <= set(written["lessons"])
    assert all(stem.startswith(f"{lesson}_") for lesson, stem in written["lessons"].items())


def test_a_new_ledger_is_open():
    lines = ledger.show()
    assert [line.state for line in lines] == ["open"] * 7
    assert "open  A token is about a word.  [01]" in repr(lines)


def test_settling_is_remembered_and_replaced_by_a_later_run():
    ledger.settle(**WORD, value=2.5, verdict="First run.")
    ledger.settle(**WORD, value=3.5, verdict="Second run.")
    (line,) = [line for line in ledger.show() if line.claim.id == "token-is-a-word"]
    assert line.state == "settled"
    assert [entry.verdict for entry in line.entries] == ["Second run."]
    assert line.entries[0].value == 3.5


def test_a_claim_of_several_lessons_is_settled_by_all_of_them():
    def state():
        return next(line.state for line in ledger.show() if line.claim.id == "experts-by-prompt")

    units = next(line.claim for line in ledger.claims() if line.claim.id == "experts-by-prompt").units
    ledger.settle("experts-by-prompt", 0.6, units["07"], "The token explains most of it.", "07")
    assert state() == "1 of 2 lessons"
    ledger.settle("experts-by-prompt", 0.5, units["13"], "In published models too.", "lesson 13")
    assert state() == "settled"


def test_digits_that_differ_between_machines_stay_out_of_the_repr():
    shown = [
        ledger.settle(**WORD, value=value, verdict="Not a word.", show=form)
        for value, form in ((2.341, "{:.1f}"), (2.339, "{:.1f}"), (2.9, "between 2 and 3"), (2.1, "between 2 and 3"))
    ]
    assert repr(shown[0]) == repr(shown[1]) and shown[0]._repr_html_() == shown[1]._repr_html_()
    assert repr(shown[2]) == repr(shown[3])
    assert (
        repr(shown[0])
        == "Claim: A token is about a word.\nMeasured in lesson 01: 2.3 tokens per word\nVerdict: Not a word."
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"claim_id": "nope"}, "no claim 'nope'; the claims are: active-parameters"),
        ({"where": "02"}, "where is '02', but the claim 'token-is-a-word' is settled by lesson 01"),
        ({"unit": "words"}, "unit is 'words', but lesson 01 measures 'token-is-a-word' in 'tokens per word'"),
        ({"value": math.nan}, "value is nan, but a claim is settled by a finite number"),
        ({"verdict": " "}, "verdict is empty"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        ledger.settle(**{**WORD, "value": 2.0, "verdict": "Fine.", **change})


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"entries": 3}', b'{"entries": [{"claim_id": "token-is-a-word"}]}', b"\xff\xfe\x00", b"",
     b'{"entries": [{"claim_id":"token-is-a-word","value":"x","shown":"","unit":"","verdict":"","where":"01"}]}'],
)  # fmt: skip
def test_a_damaged_ledger_is_named_and_set_aside(content, cache):
    cache.mkdir()
    (cache / "ledger.json").write_bytes(content)
    with pytest.warns(UserWarning, match=r"ledger\.json is damaged; it was moved to ledger\.damaged\.json"):
        lines = ledger.show()
    assert all(line.state == "open" for line in lines)
    assert (cache / "ledger.damaged.json").read_bytes() == content
    ledger.settle(**WORD, value=2.0, verdict="Goes on.")
    assert json.loads((cache / "ledger.json").read_text(encoding="utf-8"))["entries"][0]["value"] == 2.0


def test_a_cache_without_room_is_a_warning_and_the_entry_is_shown(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="the entry is shown, not saved"):
        entry = ledger.settle(**WORD, value=2.0, verdict="Shown.")
    assert entry.verdict == "Shown."


def test_a_claim_that_has_gone_is_left_out(cache):
    ledger.settle(**WORD, value=2.0, verdict="Kept.")
    path = cache / "ledger.json"
    path.write_text(path.read_text(encoding="utf-8").replace("token-is-a-word", "forgotten"), encoding="utf-8")
    assert all(line.state == "open" for line in ledger.show())


def test_writing_leaves_no_scratch_files(cache):
    ledger.settle(**WORD, value=2.0, verdict="Clean.")
    assert sorted(path.name for path in cache.iterdir()) == [".ledger.json.lock", "ledger.json"]


def test_the_pages_escape_what_they_show_and_link_to_the_lessons():
    ledger.settle(**WORD, value=2.0, verdict="a < b")
    page = ledger.show()._repr_html_()
    assert "a &lt; b" in page and "href='01_text_to_tokens.ipynb'" in page
    assert ledger.claims()._repr_html_() == ledger.claims()._repr_html_()
    assert "token-is-a-word: A token is about a word. [01]" in repr(ledger.claims())
