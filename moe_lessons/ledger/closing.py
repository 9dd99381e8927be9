"""Closing the ledger: every claim with its numbers and a verdict.

What the learner's own lessons recorded comes first; whatever they left open is computed on the spot, and not recorded:
running the lesson does that. The verdict on a claim is computed from the numbers that are shown beside it.
"""

import html
from collections.abc import Mapping
from typing import NamedTuple

from moe_lessons.html_table import html_table, td, th
from moe_lessons.ledger.book import Claim, LedgerEntry, claim_of, show
from moe_lessons.ledger.judges import JUDGES, Judgment
from moe_lessons.ledger.measures import MEASURES
from moe_lessons.ledger.page_2026 import JUDGES_2026, MEASURES_2026
from moe_lessons.outbox import tell
from moe_lessons.outbox.entries import VERDICTS


class Closed(NamedTuple):
    """A claim at the end of the course."""

    claim: Claim
    entries: tuple[LedgerEntry, ...]  # one for each of its lessons
    computed: frozenset[str]  # lessons whose entry was computed just now
    judgment: Judgment


class Closing(tuple[Closed, ...]):
    """The whole ledger with a verdict on every claim; a notebook shows it as a table."""

    def __repr__(self) -> str:
        text = []
        for claim, entries, computed, judgment in self:
            text.append(f"{judgment.word:>10}  {claim.claim}\n{'':12}{judgment.why}")
            text += [
                f"{'':12}{e.where}: {e.shown} {e.unit}{' (computed now)' if e.where in computed else ''}"
                for e in entries
            ]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        rows = (
            [
                th(html.escape(line.claim.claim), "row"),
                td(f"<b>{line.judgment.word}</b>"),
                td(html.escape(line.judgment.why)),
                td(_numbers_html(line)),
            ]
            for line in self
        )
        head = map(th, ("The claim", "Verdict", "Why", "Measured"))
        return html_table(rows, head, box="moe-closing", style=_STYLE)

    @property
    def verdicts(self) -> dict[str, str]:
        """The word of each claim, by the claim's id."""
        return {line.claim.id: line.judgment.word for line in self}


def close(page: int = 1) -> Closing:
    """Every claim of a page with its numbers and verdict, whichever lessons were run on this machine.

    A claim that is not countable has that as its verdict. Raises ValueError for a page that there is not.
    """
    result = []
    for claim, recorded in show(page):
        if claim.not_countable:
            result.append(Closed(claim, (), frozenset(), Judgment("not countable", claim.not_countable)))
            continue
        own = {entry.where: entry for entry in recorded}
        computed = frozenset(lesson for lesson in claim.lessons if lesson not in own)
        entries = tuple(own.get(lesson) or measure(claim.id, lesson) for lesson in claim.lessons)
        judgment = judged(claim.id, {entry.where: entry.value for entry in entries})
        result.append(Closed(claim, entries, computed, judgment))
    for line in result:
        if not line.claim.not_countable:
            tell("verdict", claim=line.claim.id, word=VERDICTS.index(line.judgment.word))
    return Closing(result)


def judged(claim_id: str, numbers: Mapping[str, float]) -> Judgment:
    """The verdict on a claim that is countable, from the number of each of its lessons."""
    return {**JUDGES, **JUDGES_2026}[claim_id](numbers)


def measure(claim_id: str, lesson: str) -> LedgerEntry:
    """Compute one line of the ledger, without recording it. Raises ValueError for a line that there is not."""
    measures = {**MEASURES, **MEASURES_2026}
    if (claim_id, lesson) not in measures:
        known = ", ".join(f"{claim} in lesson {where}" for claim, where in measures)
        raise ValueError(f"lesson {lesson!r} does not settle the claim {claim_id!r}; there are: {known}")
    claim = claim_of(claim_id)
    value, form, verdict = measures[claim_id, lesson]()
    return LedgerEntry(
        claim_id=claim_id,
        value=float(value),
        shown=form.format(value),
        unit=claim.units[lesson],
        verdict=verdict,
        where=lesson,
    )


def _numbers_html(line: Closed) -> str:
    return "<br>".join(
        f"{e.where}: <b>{html.escape(e.shown)}</b> {html.escape(e.unit)}"
        f"{' <i>(computed now)</i>' if e.where in line.computed else ''}"
        for e in line.entries
    )


_STYLE = ".moe-closing th[scope=row] { font-weight: normal; min-width: 10em; }"
