"""What a class has acknowledged: one file of lines that only grows, on the disk before anybody is told that it is."""

import errno
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moe_lessons.outbox.membership import private_dir
from moe_lessons.records import acquire

NAME = "entries.jsonl"  # in the class's folder


class Journal:
    """An open journal, which no other process can have open. Raises ValueError where one has, OSError for a disk."""

    def __init__(self, path: Path) -> None:
        private_dir(path.parent)
        self.path = path
        self._lock = path.with_name(f".{path.name}.lock").open("ab")
        try:
            acquire(self._lock.fileno(), patience=0)
        except OSError:
            self._lock.close()
            raise ValueError("another `moe-lessons class` has this class open; stop it first") from None
        # Without a buffer: what a full disk did not take must not be written later.
        self._file = open(path, "ab+", buffering=0, opener=_private)  # noqa: SIM115

    def read(self) -> list[dict[str, Any]]:
        """The records so far. A last line that was cut off was never acknowledged, and is taken away."""
        self._file.seek(0)
        records, end = [], 0
        for line in io.BytesIO(self._file.readall()).readlines():  # splitlines would part a damaged line at its "\r"
            if not line.endswith(b"\n"):
                break
            end += len(line)
            try:
                record = json.loads(line)
            except ValueError:  # a damaged line in the middle stays where it is, and counts for nothing
                continue
            records.append(record)
        self._file.truncate(end)
        return records

    def append(self, records: Iterable[dict[str, Any]]) -> None:
        """Write records down, for good. Raises OSError where there is no space; then none of them is there."""
        lines = b"".join(json.dumps(one, allow_nan=False).encode() + b"\n" for one in records)
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
