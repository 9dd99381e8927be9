"""What the checks of a router found."""

import html
from typing import NamedTuple

from moe_lessons.html_table import html_table, td, th


class Finding(NamedTuple):
    """What one check found."""

    check: str
    state: str  # "holds", "refused" or "warning"
    sentence: str  # what holds; or what is wrong, and what to do


class Report(tuple[Finding, ...]):
    """What all checks found, until one could not go on."""

    @property
    def accepted(self) -> bool:
        return bool(self) and all(finding.state != "refused" for finding in self)

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self if finding.state == "refused"]

    def __repr__(self) -> str:
        if not self:
            return "not attempted yet"
        width = max(len(finding.check) for finding in self)
        return "\n".join(f"{finding.state:>8}  {finding.check:<{width}}  {finding.sentence}" for finding in self)

    def _repr_html_(self) -> str:
        if not self:
            return "<p>not attempted yet</p>"
        sign = {"holds": "✓", "refused": "✗", "warning": "!"}
        left, line = "style='text-align:left'", "style='text-align:left;white-space:nowrap'"
        rows = (
            [
                th(html.escape(f.check), "row", line),
                td(f"<span aria-hidden='true'>{sign[f.state]}</span> {f.state}", line),
                td(html.escape(f.sentence), left),
            ]
            for f in self
        )
        return html_table(rows, (th(name, "col", left) for name in ("Check", "Result", "")))


def holds(check: str, sentence: str) -> Finding:
    """What a check found in order."""
    return Finding(check, "holds", sentence)


def refused(check: str, sentence: str) -> Finding:
    """What a check found wrong, and what to do."""
    return Finding(check, "refused", sentence)
