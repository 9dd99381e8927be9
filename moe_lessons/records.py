"""What this machine has found out, one JSON file for each kind, in the cache folder; nothing is lost without a word."""

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from moe_lessons.resources import cache_dir

T = TypeVar("T")


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

    def read(self) -> list[T]:
        """The records so far; a file that makes no sense is renamed, and a warning says so."""
        path = self.path()
        try:
            text = path.read_text(encoding="utf-8")
            return [self.parse(record) for record in json.loads(text)[self.key]]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._warn(f"{path} cannot be read ({error.strerror}); the {self.book} is shown without it")
            return []
        except (ValueError, KeyError, TypeError):  # text that is not UTF-8 is a ValueError, too
            self._set_aside(path)
            return []

    def write(self, records: list[dict[str, Any]]) -> None:
        """Replace the file by these records in one step, so that no reader sees half of it."""
        path = self.path()
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps({self.key: records}, indent=1, allow_nan=False), encoding="utf-8")
            scratch.replace(path)
        except OSError as error:
            self._warn(
                f"the {self.book} cannot be kept in {path} ({error.strerror}); the {self.piece} is shown, not saved"
            )

    def _set_aside(self, path: Path) -> None:
        aside = path.with_name(f"{self.book}.damaged.json")
        try:
            path.replace(aside)
            done = f"it was moved to {aside.name}"
        except OSError as error:
            done = f"it could not be moved ({error.strerror})"
        self._warn(f"{path} is damaged; {done}, and a new {self.book} begins: {self.remedy}")

    def _warn(self, sentence: str) -> None:
        warnings.warn(sentence, stacklevel=5)
