"""A page that says what a learner's machine has computed, and what it has not; for a printer, or to be sent."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

from moe_lessons.files import replacing

if TYPE_CHECKING:
    from moe_lessons.kit.record import Measured, Record

LONGEST = 80  # letters of a name


class Certificate:
    """A certificate in a file, or none while it has no name; a notebook shows where it is."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def __repr__(self) -> str:
        if self.path is None:
            return "certificate: not made; put your name between the quotation marks and run the cell again"
        return f"certificate: {self.path.name} is beside this lesson; open it in a browser, and print it from there"


def certificate(name: str, file: str | Path = "certificate.html") -> Certificate:
    """Write the page for somebody of this name; without a name nothing is written.

    Raises ValueError for what is no name, OSError where the file cannot be written.
    """
    if not str(name).strip():
        return Certificate(None)
    from moe_lessons.kit.record import record

    path = Path(file)
    page = certificate_page(name, record())
    with replacing(path) as scratch:
        scratch.write_text(page, encoding="utf-8")
    return Certificate(path)


def certificate_page(name: str, found: "Record") -> str:
    """The page of one side of A4. Raises ValueError for a name that is no line of text or too long."""
    from moe_lessons.kit.page import page

    name = " ".join(str(name).split())
    if not 0 < len(name) <= LONGEST or not name.isprintable():
        raise ValueError(
            f"a name has 1 to {LONGEST} letters that can be printed, and this one has {len(name)}; shorten it"
        )
    claims, all_claims = found.claims
    passed, all_exercises = found.exercises
    counts = (
        _count(claims, all_claims, "numbers of the ledger measured")
        + _count(passed, all_exercises, "exercises passed")
        + _guess_count(found)
    )
    body = (
        f'<main><section class="side"><header><p>moe-lessons, {html.escape(found.version)}</p>'
        f"<h1>{html.escape(name)}</h1><p>has this on record on the machine below, as of {found.day}:</p></header>"
        f'<div class="counts">{counts}</div>'
        + "".join(f"<h2>{title}</h2>{_ledger(lines)}" for title, lines in found.pages.items())
        + f"<h2>Exercises, lesson by lesson</h2>{_lessons(found)}{_what_it_is(found)}</section></main>"
    )
    return page(f"{name}: moe-lessons", body, "paper", "certificate")


def _count(part: int, whole: int, what: str) -> str:
    return f"<p><b>{part}<small> of {whole}</small></b>{what}</p>"


def _guess_count(found: "Record") -> str:
    guesses = found.guesses
    if guesses is None or not guesses.answered:
        return "<p><b>none</b>of the predictions made</p>"
    return _count(guesses.right, guesses.answered, "predictions right")


def _ledger(lines: "list[Measured]") -> str:
    rows = []
    for line, verdict, missing in lines:
        if line.claim.not_countable:
            numbers, said = "no number settles it", "not countable"
        else:
            shown = [f"{html.escape(e.shown)} {html.escape(e.unit)} <i>({e.where})</i>" for e in line.entries]
            waiting = [f"<i>not measured here ({', '.join(missing)})</i>"] if missing else []
            numbers, said = "<br>".join(shown + waiting), verdict or "open"
        rows.append(
            f'<tr><td>{html.escape(line.claim.claim)}</td><td>{numbers}</td><td class="v{said[0]}">{said}</td></tr>'
        )
    head = "<tr><th>The claim</th><th>Measured here</th><th>The claim is</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _lessons(found: "Record") -> str:
    cells = []
    for lesson, (passed, whole) in found.passed.items():
        dots = '<i class="on"></i>' * passed + "<i></i>" * (whole - passed)
        cells.append(f'<li title="{passed} of {whole}"><span>{lesson}</span>{dots}</li>')
    return f'<ul class="dots" aria-label="exercises passed">{"".join(cells)}</ul>'


def _what_it_is(found: "Record") -> str:
    """What the page can vouch for, and what it cannot."""
    guesses = ""
    if found.guesses and found.guesses.answered:
        it = found.guesses
        guesses = (
            f" Of {it.asked} predictions {it.answered} were made, {it.late} of them after the measurement; of "
            f"{it.sure} called sure, {it.sure_right} came out right. They are compared with what the lessons had "
            "measured when they were stored, not with this machine's runs."
        )
    return (
        '<div class="what"><p><b>What this page is.</b> A program wrote it from files on one machine '
        f"({html.escape(found.machine)}). The numbers of the ledger come from lessons that ran there; lesson numbers "
        "stand in brackets. A passed exercise says that a function written there did what was asked, not who wrote it, "
        f"and the lessons show their solutions to whoever asks.{guesses} Answers to quizzes are not kept. Nobody has "
        "examined anybody: there is no signature on this page, and whoever can edit a file can change it.</p></div>"
    )
