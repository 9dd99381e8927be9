"""The ledger: what the press claimed, and what this machine's runs say to each claim.

`data/claims.toml` holds the claims of January 2025, its first page, `data/claims-2026.toml` those of its second page,
and neither a result; results are kept beside the other things this machine made, in `ledger.json` of the cache folder.
Nothing here is typed in: a lesson computes the value and the verdict, and settles.
"""

import html
import math
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.html_table import html_table, td, th
from moe_lessons.languages.words import later, translate
from moe_lessons.outbox import tell
from moe_lessons.records import RecordFile
from moe_lessons.resources import data_path, notebooks_path

_PAGES = ("claims.toml", "claims-2026.toml")  # in data/


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One sentence of the press, and where the course answers it."""

    id: str
    claim: str
    question: str
    lessons: tuple[str, ...]
    units: dict[str, str]  # lesson -> unit of the value that it measures
    not_countable: str = ""  # why no lesson settles it; empty where one does


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """What one lesson's run on this machine says to one claim."""

    claim_id: str
    value: float
    shown: str  # the value as the reader sees it, rounded so that it is stable where the digits are not
    unit: str
    verdict: str
    where: str  # the lesson, such as "01"

    def __repr__(self) -> str:
        return (
            f"Claim: {claim_of(self.claim_id).claim}\n"
            f"Measured in lesson {self.where}: {self.shown} {self.unit}\n"
            f"Verdict: {self.verdict}"
        )

    def _repr_html_(self) -> str:
        lines = {
            "Claim": html.escape(claim_of(self.claim_id).claim),
            f"Measured in lesson {self.where}": f"<b>{html.escape(self.shown)}</b> {html.escape(self.unit)}",
            "Verdict": html.escape(self.verdict),
        }
        return _table([th(name, "row"), td(said)] for name, said in lines.items())


class Line(NamedTuple):
    """A claim with the entries that this machine has made for it, in the order of its lessons."""

    claim: Claim
    entries: tuple[LedgerEntry, ...]

    @property
    def state(self) -> str:
        """open, `1 of 3 lessons`, settled or, where no lesson can, not countable."""
        if self.claim.not_countable:
            return "not countable"
        if len(self.entries) == len(self.claim.lessons):
            return "settled"
        return f"{len(self.entries)} of {len(self.claim.lessons)} lessons" if self.entries else "open"


class Ledger(tuple[Line, ...]):
    """The lines of the ledger; a notebook shows them as a table."""

    def __repr__(self) -> str:
        text = []
        for claim, entries in self:
            lessons = f"  [{_lesson_list(claim)}]" if claim.lessons else ""
            text.append(f"{Line(claim, entries).state:>15}  {claim.claim}{lessons}")
            text += [f"{'':17}{claim.not_countable}"] if claim.not_countable else []
            text += [f"{'':17}{e.where}: {e.shown} {e.unit}. {e.verdict}" for e in entries]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        rows = (
            [td(_said(line.claim.claim)), td(_state_html(line)), td(_links(line.claim)), td(_answers(line))]
            for line in self
        )
        head = (later("The claim"), later("State"), later("Lessons"), later("Measured here"))
        return _table(rows, map(th, map(translate, head)))


class Claims(Ledger):
    """The claims and their questions, without results: the same on every machine."""

    def __repr__(self) -> str:
        return "\n".join(
            f"{claim.id}: {claim.claim} [{_lesson_list(claim) or 'not countable'}]\n    {claim.question}"
            for claim, _ in self
        )

    def _repr_html_(self) -> str:
        rows = (
            [td(_said(claim.claim)), td(_said(claim.question)), td(_links(claim) or translate("not countable"))]
            for claim, _ in self
        )
        head = (later("The claim"), later("What we shall measure"), later("Lessons"))
        return _table(rows, map(th, map(translate, head)))


def settle(claim_id: str, value: float, unit: str, verdict: str, where: str, show: str = "{:.3g}") -> LedgerEntry:
    """Record what a lesson measured and return the entry; a later run of the same lesson replaces it.

    `show` is how the value appears: a format such as "{:.1f}", or a statement such as "below 2" for a number whose
    digits differ between machines. Raises ValueError for an unknown claim, a lesson or unit that is not the
    claim's, a value that is not finite, or an empty verdict. A ledger that cannot be written is a warning.
    """
    claim = claim_of(claim_id)
    where = str(where).removeprefix("lesson ")
    if claim.not_countable:
        raise ValueError(f"the claim {claim_id!r} is not countable, so no lesson settles it: {claim.not_countable}")
    if where not in claim.lessons:
        raise ValueError(f"where is {where!r}, but the claim {claim_id!r} is settled by lesson {_lesson_list(claim)}")
    if unit != claim.units[where]:
        raise ValueError(f"unit is {unit!r}, but lesson {where} measures {claim_id!r} in {claim.units[where]!r}")
    if not math.isfinite(value):
        raise ValueError(f"value is {value}, but a claim is settled by a finite number; look at the run before")
    if not verdict.strip():
        raise ValueError("verdict is empty; say in one sentence what the number means for the claim")
    entry = LedgerEntry(
        claim_id=claim_id, value=float(value), shown=show.format(value), unit=unit, verdict=verdict.strip(), where=where
    )

    def with_entry(before: list[LedgerEntry]) -> list[dict[str, Any]]:
        others = [e for e in _known(before) if (e.claim_id, e.where) != (claim_id, where)]
        return [asdict(e) for e in (*others, entry)]

    FILE.update(with_entry)
    tell("ledger", claim=claim_id, lesson=where, value=entry.value)
    return entry


def show(page: int = 1) -> Ledger:
    """A page of the ledger with this machine's results. It depends on what was run before: tag its cell for nbval.

    Raises ValueError for a page that there is not.
    """
    entries = _known(FILE.read())
    return Ledger(
        Line(
            claim, tuple(e for lesson in claim.lessons for e in entries if (e.claim_id, e.where) == (claim.id, lesson))
        )
        for claim in _page(page).values()
    )


def claims(page: int = 1) -> Claims:
    """A page's claims with the question that each one raises, the same on every machine.

    Raises ValueError for a page that there is not.
    """
    return Claims(Line(claim, ()) for claim in _page(page).values())


def _page(page: int) -> dict[str, Claim]:
    if page not in range(1, len(_PAGES) + 1):
        raise ValueError(f"page is {page!r}, but the ledger's pages are 1 to {len(_PAGES)}")
    return _load(data_path(_PAGES[page - 1]))[0]


def _book() -> dict[str, Claim]:
    """The claims of all pages."""
    return {name: claim for page in _PAGES for name, claim in _load(data_path(page))[0].items()}


@cache
def _load(path: Path) -> tuple[dict[str, Claim], dict[str, str]]:
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    book = {}
    for record in written["claim"]:
        lessons, unit = tuple(record.get("lessons", ())), record.get("unit", "")
        # One unit for all lessons of a claim, or a table of one each.
        units = {lesson: unit if isinstance(unit, str) else unit[lesson] for lesson in lessons}
        book[record["id"]] = Claim(
            id=record["id"],
            claim=record["claim"],
            question=record["question"],
            lessons=lessons,
            units=units,
            not_countable=record.get("not_countable", "").strip(),
        )
    return book, written["lessons"]


def claim_of(claim_id: str) -> Claim:
    """A claim of any page; ValueError where there is none of this name."""
    book = _book()
    if claim_id not in book:
        raise ValueError(f"there is no claim {claim_id!r}; the claims are: {', '.join(book)}")
    return book[claim_id]


def _entry(record: dict[str, Any]) -> LedgerEntry:
    kinds = {f.name: float if f.type is float else str for f in fields(LedgerEntry)}
    if set(record) != set(kinds) or not all(isinstance(record[name], kind) for name, kind in kinds.items()):
        raise ValueError("not a ledger entry")
    return LedgerEntry(**record)


FILE = RecordFile(book="ledger", key="entries", parse=_entry, piece="entry", remedy="run the lessons again to fill it")


def _known(entries: list[LedgerEntry]) -> list[LedgerEntry]:
    return [entry for entry in entries if entry.claim_id in _book()]  # a claim may have gone since


def _lesson_list(claim: Claim) -> str:
    return ", ".join(claim.lessons)


def _links(claim: Claim) -> str:
    """Relative links, which JupyterLab opens from a notebook beside the others; a lesson to come is a number alone."""
    files = {lesson: name for page in _PAGES for lesson, name in _load(data_path(page))[1].items()}
    written = {path.stem for path in notebooks_path().glob("*.ipynb")}
    return ", ".join(
        f"<a href='{files[lesson]}.ipynb'>{lesson}</a>" if files[lesson] in written else lesson
        for lesson in claim.lessons
    )


def _state_html(line: Line) -> str:
    sign = {later("open"): "○", later("settled"): "●", "not countable": "–"}.get(line.state, "◐")
    return f"<span style='white-space:nowrap'><span aria-hidden='true'>{sign}</span> {translate(line.state)}</span>"


def _answers(line: Line) -> str:
    if not line.entries:
        return _said(line.claim.not_countable) or f"<i>{_said(line.claim.question)}</i>"
    return "<br>".join(
        f"{e.where}: <b>{html.escape(e.shown)}</b> {html.escape(e.unit)}. {html.escape(e.verdict)}"
        for e in line.entries
    )


def _said(text: str) -> str:
    """A claim's text in the language that is spoken, as HTML."""
    return html.escape(translate(text))


def _table(rows: Iterable[Iterable[str]], head: Iterable[str] = ()) -> str:
    return html_table(rows, head, box="moe-ledger", style=".moe-ledger a { white-space: nowrap; }")
