"""What this machine has found out, one JSON file for each kind, in the cache folder; nothing is lost without a word."""

import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from moe_lessons.files import replacing
from moe_lessons.resources import cache_dir

T = TypeVar("T")
PATIENCE = 5.0  # seconds


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Inside the block, whoever else wants to read and then write `path` waits: another notebook, or this one.

    The lock is a hidden file beside it, which the system lets go when a process ends. Where it cannot be had within
    five seconds, or there are no locks, the block runs all the same: an entry may then be lost, but no lesson stops.
    """
    lock = None
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("ab")
        acquire(lock.fileno(), PATIENCE)
    try:
        yield
    finally:
        if lock is not None:
            lock.close()


def acquire(number: int, patience: float) -> None:
    """Lock an open file, until it is closed; OSError where that takes longer than `patience` seconds."""
    until = time.monotonic() + patience
    while True:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class RecordFile(Generic[T]):
    """The records of one kind. A failure to read or write is a warning, and never stops a lesson."""

    book: str  # what warnings call it; the file is `book`.json
    key: str  # the list in the file
    parse: Callable[[Any], T]  # a record from JSON; ValueError, KeyError or TypeError where it makes no sense
    piece: str  # what is shown though it could not be saved
    remedy: str  # what to do after the file was lost

    def path(self) -> Path:
        """Where the file is, or will be; MOE_LESSONS_CACHE may have changed since the last call."""
        return cache_dir() / f"{self.book}.json"

    def parsed(self, text: str) -> list[T]:
        """The records in a file's text; ValueError, KeyError or TypeError where it makes no sense."""
        return [self.parse(record) for record in json.loads(text)[self.key]]

    def read(self) -> list[T]:
        """The records so far; a file that makes no sense is renamed, and a warning says so."""
        try:
            return self._records()
        except OSError as error:
            self._warn(f"{self.path()} cannot be read ({error.strerror}); the {self.book} is shown without it")
            return []

    def update(self, change: Callable[[list[T]], Iterable[dict[str, Any]]]) -> None:
        """Replace the records by what `change` makes of them, while no other process does the same.

        A file that cannot be read stays as it is, with a warning: in its place would stand the new record alone.
        """
        with held(self.path()):
            try:
                records = self._records()
            except OSError as error:
                self._warn(self._not_kept(error))
                return
            self.write(list(change(records)))

    def write(self, records: list[dict[str, Any]]) -> None:
        """Replace the file by these records in one step, so that no reader sees half of it."""
        path = self.path()
        try:
            with replacing(path) as scratch:
                scratch.write_text(json.dumps({self.key: records}, indent=1, allow_nan=False), encoding="utf-8")
        except OSError as error:
            self._warn(self._not_kept(error))

    def _records(self) -> list[T]:
        """The records so far, none where there is no file; OSError for one that is there and cannot be read."""
        path = self.path()
        try:
            return self.parsed(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (ValueError, KeyError, TypeError):  # text that is not UTF-8 is a ValueError, too
            self._set_aside(path)
            return []

    def _set_aside(self, path: Path) -> None:
        aside = path.with_name(f"{self.book}.damaged.json")
        try:
            path.replace(aside)
            done = f"it was moved to {aside.name}"
        except OSError as error:
            done = f"it could not be moved ({error.strerror})"
        self._warn(f"{path} is damaged; {done}, and a new {self.book} begins: {self.remedy}")

    def _not_kept(self, error: OSError) -> str:
        where = f"{self.path()} ({error.strerror})"
        return f"the {self.book} cannot be kept in {where}; the {self.piece} is shown, not saved"

    def _warn(self, sentence: str) -> None:
        warnings.warn(sentence, stacklevel=5)
