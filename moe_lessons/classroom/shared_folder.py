"""A class without a server for learners: each has a file of its own in a shared folder, and this reads them all."""

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from moe_lessons.classroom.accepted import accepted_line
from moe_lessons.classroom.room import ENTRIES, LEARNERS
from moe_lessons.outbox.entries import BYTES

_FILE = re.compile(r"[0-9a-f]{16}\.jsonl")
LARGEST = 5_000_000  # bytes of one file
AT_ONCE = 256_000  # read of one file in one round
# No link is followed, and what is no file, such as a pipe, stops nobody.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class SharedFolder:
    """The files of a folder, read on from where they were left."""

    def __init__(self, folder: Path, count: Callable[[str, dict[str, Any]], None]) -> None:
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder; name one that every learner can write to")
        self._folder, self._count = folder, count
        self._read: dict[str, int] = {}  # file -> bytes that were read
        self._lines: dict[str, int] = {}
        self.refused = 0  # lines that no entry could be made of

    def look(self) -> None:
        """Count what is new. Whatever somebody put there, nothing is raised."""
        with suppress(OSError):
            names = sorted(path.name for path in self._folder.iterdir() if _FILE.fullmatch(path.name))
            for name in names[:LEARNERS]:
                with suppress(OSError):
                    self._look_at(name)

    def _look_at(self, name: str) -> None:
        start = self._read.get(name, 0)
        number = os.open(self._folder / name, _FLAGS)
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode) or not start < found.st_size <= LARGEST:
                return
            os.lseek(number, start, os.SEEK_SET)
            text = os.read(number, AT_ONCE)
        finally:
            os.close(number)
        whole = text[: text.rfind(b"\n") + 1]  # a line that is being written waits for the next round
        if not whole and len(text) > BYTES:
            whole = text
        self._read[name] = start + len(whole)
        for line in whole.removesuffix(b"\n").split(b"\n"):
            self._take(name, line)

    def _take(self, name: str, line: bytes) -> None:
        self._lines[name] = self._lines.get(name, 0) + 1
        if not line.strip() or self._lines[name] > ENTRIES:
            return
        try:
            self._count(name.removesuffix(".jsonl"), accepted_line(line))
        except ValueError:
            self.refused += 1
