import html
import re

import pytest

from moe_lessons.kit import certificate
from moe_lessons.kit import record as records
from moe_lessons.kit.certificate import LONGEST, certificate_page
from moe_lessons.kit.record import Measured, Record
from moe_lessons.ledger.book import Line, claim_of, settle
from moe_lessons.predictions.calibration import Calibration


@pytest.fixture
def found(tmp_path, monkeypatch) -> Record:
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path))
    entry = settle("active-parameters", 37_552_297_472, "parameters at work", "Right.", "09", "{:,.0f}")
    counted = Measured(Line(claim_of("active-parameters"), (entry,)), "right", ())
    waiting = Measured(Line(claim_of("token-is-a-word"), ()), "", ("01",))
    no_number = Measured(Line(claim_of("v4-quality"), ()), "", ())
    return Record(
        pages={"One": [counted, waiting], "Two": [no_number]},
        passed={"05": (2, 5), "06": (0, 5)},
        guesses=Calibration(14, 10, 4, 3, 1, 2, 3, 3, "05.one_sheet"),
        machine="a <machine>",
        version="1.0",
        day="2026-11-29",
    )


def text(page: str) -> str:
    body = re.sub(r"<style>.*?</style>|<title>.*?</title>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_says_what_was_measured_here_and_what_was_not(found):
    words = text(certificate_page("Ada", found))
    assert "37,552,297,472 parameters at work (09) right" in words
    assert "not measured here (01) open" in words and "no number settles it not countable" in words
    assert "1 of 2 numbers of the ledger measured" in words and "2 of 10 exercises passed" in words


def test_the_page_vouches_for_no_more_than_its_files(found):
    words = text(certificate_page("Ada", found))
    assert "4 of 10 predictions right" in words and "2 of them after the measurement" in words
    assert "of 3 called sure, 1 came out right" in words and "not with this machine's runs" in words
    assert "not who wrote it" in words and "there is no signature on this page" in words
    assert "none of the predictions made" in text(certificate_page("Ada", found._replace(guesses=None)))


def test_a_name_is_words_and_never_a_tag(found):
    page = certificate_page("Ada <script>alert(1)</script> & Söhne", found)
    assert "<script" not in page and "<machine>" not in page
    assert "Ada <script>alert(1)</script> & Söhne has this" in html.unescape(page).replace("</h1><p>", " ")


@pytest.mark.parametrize("name", ["", "x" * (LONGEST + 1), "Ada\u202eLovelace", "Ada\x00"])
def test_what_is_no_name_is_refused_in_one_sentence(found, name):
    with pytest.raises(ValueError, match=f"a name has 1 to {LONGEST} letters"):
        certificate_page(name, found)


def test_without_a_name_nothing_is_written_and_the_cell_says_what_to_do(tmp_path):
    made = certificate("", tmp_path / "certificate.html")
    assert made.path is None and not (tmp_path / "certificate.html").exists()
    assert repr(made) == "certificate: not made; put your name between the quotation marks and run the cell again"


def test_with_a_name_the_page_is_beside_the_lesson(tmp_path, found, monkeypatch):
    monkeypatch.setattr(records, "record", lambda: found)
    monkeypatch.chdir(tmp_path)
    made = certificate("Ada Lovelace")
    assert "<h1>Ada Lovelace</h1>" in (tmp_path / "certificate.html").read_text(encoding="utf-8")
    assert repr(made).startswith("certificate: certificate.html is beside this lesson")
