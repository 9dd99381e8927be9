"""The outbox: entries in a file that only grows, and how far it has been sent.

An entry is written down before it is sent, so that no network, no server and no kernel that ends loses one.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.outbox.membership import Membership, membership, write_private
from moe_lessons.outbox.place import class_dir, outbox_path
from moe_lessons.records import held

MOST, BYTES = 40, 16_000  # of one request
REFUSALS = 50  # that are kept, to be shown


class Sent(NamedTuple):
    """How far the outbox has been sent, and what the class did not take."""

    offset: int
    refused: dict[str, str]  # an entry's id and why


class Batch(NamedTuple):
    """The next entries to send."""

    entries: list[dict[str, Any]]
    end: int  # where the outbox is sent up to, once they have arrived


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file; one that was cut off there, when a program ended, stays a line of its own."""
    with path.open("ab+") as file:
        if file.tell() and (file.seek(-1, 2), file.read(1))[1] != b"\n":
            line = b"\n" + line
        file.write(line + b"\n")


def keep(made: dict[str, Any]) -> None:
    """Put an entry at the end of the outbox, unless the class was left meanwhile."""
    with held(outbox_path()):
        if membership() is not None:
            append_line(outbox_path(), json.dumps(made, allow_nan=False).encode())


def sent(member: Membership) -> Sent:
    """How far this member's outbox has been sent."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        noted = json.loads((class_dir() / "sent.json").read_text(encoding="utf-8"))
        if noted["learner"] == member.learner:
            return Sent(int(noted["offset"]), {str(key): str(why) for key, why in noted["refused"].items()})
    return Sent(0, {})


def arrived(member: Membership, end: int, refused: dict[str, str]) -> None:
    """Note that the outbox has been sent up to here, and which of its entries the class refused."""
    kept = {**sent(member).refused, **refused}
    few = dict(list(kept.items())[-REFUSALS:])
    write_private(class_dir() / "sent.json", {"learner": member.learner, "offset": end, "refused": few})


def next_batch(member: Membership) -> Batch:
    """The oldest entries that have not arrived, as many as go into one request; damaged lines are passed over."""
    start, entries, size = sent(member).offset, [], 0
    end = start
    with suppress(FileNotFoundError), outbox_path().open("rb") as file:
        file.seek(start)
        for line in file:
            made = _entry(line)
            full = len(entries) == MOST or size + len(line) > BYTES
            if not line.endswith(b"\n") or (made and full):
                break
            end += len(line)
            if made:
                entries.append(made)
                size += len(line)
    return Batch(entries, end)


def all_entries() -> list[tuple[dict[str, Any], int]]:
    """Every entry of the outbox, with the place in the file where it ends."""
    found, end = [], 0
    with suppress(FileNotFoundError), outbox_path().open("rb") as file:
        for line in file:
            end += len(line)
            if made := _entry(line):
                found.append((made, end))
    return found


def _entry(line: bytes) -> dict[str, Any] | None:
    """The entry in a line; None in one that was cut off or damaged."""
    try:
        made = json.loads(line)
    except ValueError:
        return None
    return made if isinstance(made, dict) else None
