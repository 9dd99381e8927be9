"""The leaderboard of this machine: what each router reached, kept beside the ledger, like compared with like only."""

import html
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

import moe_lessons
from moe_lessons.html_table import html_table, td, th
from moe_lessons.outbox import tell
from moe_lessons.outbox.names import name_from
from moe_lessons.records import RecordFile

NOISE = 0.1  # two measurements of one router's pace differ by up to so much


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run of one router: a score, or why there is none."""

    name: str
    ours: bool
    seed: int
    settings: dict[str, Any]  # what training was told beside the budget, such as balance_loss
    conditions: dict[str, Any]  # Arena.conditions
    loss: float = math.nan  # held-out, nats per token
    peak: float = math.nan  # the busiest expert's load over the mean one, on held-out text, mean over layers
    live: float = math.nan  # experts of a weight other than 0, per token
    pace: float = math.nan  # seconds of a training step over those with the course's softmax router
    parameters: int = 0  # of one layer's router
    seconds: float = math.nan  # of training
    over_budget: str = ""  # why it is shown without a rank
    refused: str = ""  # why it was not trained
    version: str = field(default=moe_lessons.__version__)

    def in_words(self) -> str:
        """The score in one line."""
        return (
            f"loss {self.loss:.3f} nats per token, max/mean {self.peak:.2f}, a step takes {self.pace:.2f} times as "
            f"long as with ours, {self.live:.2f} experts a token"
        )


class Place(NamedTuple):
    """A router's place: the mean over its seeds."""

    rank: int | None  # None: refused, or over the budget
    name: str
    ours: bool
    seeds: int
    loss: float
    wide: float  # from the best to the worst seed; nan for one seed
    peak: float
    pace: float
    live: float
    parameters: int
    settings: dict[str, Any]
    unbeaten: bool  # nobody is at least as good in loss, balance and pace, and better in one
    reason: str  # why there is no rank


class Board(tuple[Place, ...]):
    """The places, best first, those without a rank last; a notebook shows them as a table."""

    elsewhere: int = 0  # rows made under other conditions, which are not shown

    def __getitem__(self, key: Any) -> Any:
        """A place by its number, or by the router's name."""
        if isinstance(key, str):
            found = next((place for place in self if place.name == key), None)
            if found is None:
                names = ", ".join(place.name for place in self) or "none"
                raise KeyError(f"nobody of the name {key!r} is on the board; there are: {names}")
            return found
        return super().__getitem__(key)

    def __repr__(self) -> str:
        if not self:
            return f"nobody has entered yet{self._note()}"
        lines = [f"{'':>3} {'':24} {'loss':>13} {'max/mean':>8} {'step':>6} {'experts':>7}"]
        for place in self:
            rank = f"{place.rank}." if place.rank else "–"
            star = "*" if place.unbeaten else " "
            if place.rank is None and not math.isfinite(place.loss):
                lines.append(f"{rank:>3} {place.name:24} refused: {place.reason}")
                continue
            lines.append(
                f"{rank:>3} {place.name + star:24} {_loss(place):>13} {place.peak:8.2f} {place.pace:5.2f}x "
                f"{place.live:7.2f}{'  ' + place.reason if place.reason else ''}"
            )
        return "\n".join([*lines, "* nobody is better in loss, balance and speed at once" + self._note()])

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>Nobody has entered yet{html.escape(self._note())}</p>"
        names = ("", "Router", "Held-out loss", "Max/mean", "Time of a step", "Experts a token", "Parameters", "")
        kinds = ("", "", *5 * ("class='n'",), "")
        head = (th(name, "col", kind) for name, kind in zip(names, kinds, strict=True))
        caption = (
            "Held-out loss in nats per token, lower is better; the busiest expert's load over the mean (1 is balance); "
            "a training step's time with the course's softmax router as 1; parameters of one layer's router. "
            f"★: nobody is better in loss, balance and speed at once.{html.escape(self._note())}"
        )
        return html_table(map(_cells, self), head, caption=caption, box="moe-board", style=_STYLE)

    def _note(self) -> str:
        if not self.elsewhere:
            return ""
        rows = "1 run" if self.elsewhere == 1 else f"{self.elsewhere} runs"
        return f" ({rows} under other conditions not shown)"


def board(conditions: dict[str, Any]) -> Board:
    """The board of all runs under these conditions."""
    every = FILE.read()
    rows = [row for row in every if row.conditions == conditions]
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    places = [_place(name, group) for name, group in by_name.items()]
    ranked = sorted((p for p in places if not p.reason), key=lambda place: place.loss)
    ranked = [
        place._replace(rank=rank, unbeaten=not any(_beats(other, place) for other in ranked))
        for rank, place in enumerate(ranked, start=1)
    ]
    found = Board([*ranked, *sorted((p for p in places if p.reason), key=lambda p: (math.isnan(p.loss), p.name))])
    found.elsewhere = len(every) - len(rows)
    return found


def keep(row: Row) -> None:
    """Put a run on the leaderboard; the same router's earlier run with the same seed is replaced.

    Runs with other settings under the same name are replaced too: a name stands for one thing. A leaderboard that
    cannot be written is a warning.
    """
    settings = (row.settings, bool(row.refused))

    def stays(old: Row) -> bool:
        if (old.name, old.conditions) != (row.name, row.conditions):
            return True
        return old.seed != row.seed and (old.settings, bool(old.refused)) == settings

    FILE.update(lambda rows: [_record(each) for each in (*filter(stays, rows), row)])
    tell("score", **_for_the_class(row))


def _for_the_class(row: Row) -> dict[str, Any]:
    """A run in numbers and the router's name, and 0 for what was not measured; no sentence of anybody's."""
    numbers = {name: getattr(row, name) for name in ("loss", "peak", "pace", "live")}
    return {
        "arena": str(row.conditions.get("arena", "")),
        "router": name_from(row.name) or "router",
        "ours": int(row.ours),
        "seed": row.seed,
        "state": 2 if row.refused else 1 if row.over_budget else 0,
        "parameters": row.parameters,
        **{name: value if math.isfinite(value) else 0.0 for name, value in numbers.items()},
    }


def forget(name: str) -> None:
    """Take a router off the leaderboard, under whatever conditions it ran."""
    FILE.update(lambda rows: [_record(row) for row in rows if row.name != name])


def _place(name: str, rows: list[Row]) -> Place:
    def mean(values: Iterable[float]) -> float:
        values = list(values)
        return sum(values) / len(values)

    losses = [row.loss for row in rows]
    reason = next((row.refused or row.over_budget for row in rows if row.refused or row.over_budget), "")
    return Place(
        rank=None,
        name=name,
        ours=rows[-1].ours,
        seeds=len(rows),
        loss=mean(losses),
        wide=max(losses) - min(losses) if len(losses) > 1 else math.nan,
        peak=mean(row.peak for row in rows),
        pace=mean(row.pace for row in rows),
        live=mean(row.live for row in rows),
        parameters=rows[-1].parameters,
        settings=rows[-1].settings,
        unbeaten=False,
        reason=reason,
    )


def _beats(other: Place, place: Place) -> bool:
    """At least as good in loss, balance and pace, and better in one; a pace within the clock's noise is equal."""
    as_good = other.loss <= place.loss and other.peak <= place.peak and other.pace <= place.pace + NOISE
    better = other.loss < place.loss or other.peak < place.peak or other.pace < place.pace - NOISE
    return as_good and better


def _loss(place: Place) -> str:
    return f"{place.loss:.3f}" + (f" ± {place.wide / 2:.3f}" if math.isfinite(place.wide) else "")


def _cells(place: Place) -> list[str]:
    whose = " <small>(the course's)</small>" if place.ours else ""
    settings = ", ".join(f"{name} {value:g}" for name, value in place.settings.items() if name != "dynamic")
    settings = f"<br><small>{html.escape(settings)}</small>" if settings else ""
    name = th(f"{html.escape(place.name)}{whose}{settings}", "row")
    rank = f"{place.rank}." if place.rank else "<span aria-label='no rank'>–</span>"
    if math.isnan(place.loss):
        return [td(rank), name, td(f"<b>refused</b>: {html.escape(place.reason)}", "colspan='6'")]
    seeds = f"<br><small>{place.seeds} seeds</small>" if place.seeds > 1 else ""
    star = "<span role='img' aria-label='unbeaten'>★</span>" if place.unbeaten else html.escape(place.reason)
    numbers = (
        f"{_loss(place)}{seeds}",
        f"{place.peak:.2f}",
        f"{place.pace:.2f} ×",
        f"{place.live:.2f}",
        f"{place.parameters:,}",
    )
    return [td(rank), name, *(td(number, "class='n'") for number in numbers), td(star)]


_STYLE = (
    ".moe-board .n { text-align: right !important; font-variant-numeric: tabular-nums; white-space: nowrap; }"
    ".moe-board th[scope=row] { min-width: 14em; }"
    ".moe-board caption { caption-side: bottom; text-align: left; padding-top: 6px; }"
    ".moe-board small { font-weight: normal; }"
)

# ---- the file


_KINDS = {"str": str, "bool": bool, "int": int, "dict": dict, "float": float}


def _row(record: dict[str, Any]) -> Row:
    """A row from JSON, which knows no nan: None stands for it."""
    kinds = {f.name: _KINDS[str(getattr(f.type, "__name__", f.type)).partition("[")[0]] for f in fields(Row)}
    if not isinstance(record, dict) or set(record) != set(kinds):
        raise ValueError("not a row of the leaderboard")
    values: dict[str, Any] = {
        name: math.nan if value is None and kinds[name] is float else value for name, value in record.items()
    }
    for name, value in values.items():
        if not isinstance(value, kinds[name]) or (kinds[name] is int and isinstance(value, bool)):
            raise ValueError("not a row of the leaderboard")
    return Row(**values)


def _record(row: Row) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in asdict(row).items()}


FILE = RecordFile(book="leaderboard", key="rows", parse=_row, piece="score", remedy="enter your routers again")
