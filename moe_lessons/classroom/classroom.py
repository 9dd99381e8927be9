"""A class that runs: entries are judged, written down and counted, and whoever looks at the board hears of it."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.classroom.accepted import accepted
from moe_lessons.classroom.board import board
from moe_lessons.classroom.journal import NAME, Journal
from moe_lessons.classroom.pace import Pace
from moe_lessons.classroom.room import ENTRIES, LEARNERS, Room
from moe_lessons.outbox.membership import learner_id, voter_id

MOST = 50  # entries of one request
QUIET = 0.2  # seconds between two pictures of the board
SECRET = re.compile("[0-9a-f]{32}")


class TooFast(Exception):
    """A learner sends more than one machine makes."""


class Received(NamedTuple):
    """What became of a request."""

    refused: dict[str, str]  # the ids of entries that were not taken, and why
    name: str  # what the board calls the learner


class Classroom:
    """The room, its journal, and those who look at it. Raises ValueError where another process has the journal."""

    def __init__(self, folder: Path) -> None:
        self.room = Room()
        self._journal = Journal(folder / NAME)
        for record in self._journal.read():
            self._replay(record)
        self._pace = Pace()
        self._lock = asyncio.Lock()  # one batch at a time is judged, written and counted
        self._watchers: set[Callable[[dict[str, Any]], None]] = set()
        self._telling = False

    def _replay(self, record: Any) -> None:
        try:
            if isinstance(record, dict) and "entry" in record:
                accepted(record["entry"])
            self.room.apply(record)
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # an entry of a question or exercise that has gone since, or a line that somebody edited

    async def receive(self, secret: Any, entries: Any) -> Received:
        """Count a learner's entries, and say which were refused.

        When this returns, all others are on the disk. Raises ValueError where the request makes no sense, TooFast, and
        OSError where nothing can be written.
        """
        if not isinstance(secret, str) or not SECRET.fullmatch(secret):
            raise ValueError("the learner's secret has 32 digits")
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST:
            raise ValueError(f"a request brings 1 to {MOST} entries")
        who = learner_id(secret)
        async with self._lock:
            if who not in self.room.learners and len(self.room.learners) >= LEARNERS:
                raise TooFast(f"this class is full, with {LEARNERS} learners")
            if not self._pace.allows(who):
                raise TooFast("one machine sends no more than three requests a second")
            refused = await self._count(who, secret, entries)
        known = self.room.learners.get(who)
        return Received(refused, known.label if known else "")

    async def _count(self, who: str, secret: str, entries: list[Any]) -> dict[str, str]:
        known = self.room.learners.get(who)
        before = known.entries if known else 0
        refused: dict[str, str] = {}
        records: list[dict[str, Any]] = []
        new: set[tuple[str, str]] = set()
        for made in entries:
            try:
                entry = accepted(made)
                if before + len(new) >= ENTRIES:
                    raise ValueError(f"one learner sends at most {ENTRIES:,} entries")
            except ValueError as error:
                name = made.get("id") if isinstance(made, dict) else None
                refused[name if isinstance(name, str) and len(name) == 32 else ""] = f"{error}."
                continue
            voter = voter_id(secret, entry["key"]) if "key" in entry else who
            if not self.room.knows(voter, entry) and (voter, entry["id"]) not in new:
                new.add((voter, entry["id"]))
                records.append({"at": round(time.time(), 1), "who": voter, "entry": entry})
        if records:
            await asyncio.get_running_loop().run_in_executor(None, self._journal.append, records)
            self.room.learner(who).entries += len(records)
            self._apply(records)
        return refused

    async def show(self, key: Any) -> None:
        """The teacher lets a question's measurement be seen."""
        async with self._lock:
            asked = self.room.asked.get(key) if isinstance(key, str) else None
            if asked is not None and not asked.shown:
                record = {"at": round(time.time(), 1), "show": key}
                await asyncio.get_running_loop().run_in_executor(None, self._journal.append, [record])
                self._apply([record])

    def count_only(self, who: str, entry: dict[str, Any]) -> None:
        """Count an accepted entry of a shared folder, which itself is what is kept of it."""
        if who not in self.room.learners and len(self.room.learners) >= LEARNERS:
            return
        if not self.room.knows(who, entry):
            self._apply([{"at": entry["time"], "who": who, "entry": entry}])

    def board(self) -> dict[str, Any]:
        return board(self.room)

    def entries(self) -> bytes:
        """Every entry that was taken, as it was sent and written down: a line of JSON each."""
        return self._journal.path.read_bytes()

    def watch(self, tell: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Have `tell` called with the board now and after changes; returns how to end that."""
        self._watchers.add(tell)
        tell(self.board())
        return lambda: self._watchers.discard(tell)

    def _apply(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            self.room.apply(record)
        if not self._telling and self._watchers:
            self._telling = True
            asyncio.get_running_loop().call_later(QUIET, self._tell_all)

    def _tell_all(self) -> None:
        self._telling = False
        seen = self.board()
        for tell in list(self._watchers):
            tell(seen)

    def close(self) -> None:
        self._journal.close()
