"""Single experts out of a checkpoint, read when they are asked for: their bytes alone, and never more than there are.

Not memory-mapped: a mapped file that gets shorter ends the process (SIGBUS) when a page behind its end is touched, and
its pages count as the process's memory. A read that comes up short is an error like any other.
"""

import json
import math
import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from moe_lessons.config import ModelConfig

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows


class Place(NamedTuple):
    """Where a tensor lies in the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int  # byte

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ExpertFile:
    """A checkpoint in safetensors, kept open; tensors, or one row of a stack of them, are read when asked for.

    Raises FileNotFoundError or ValueError, in one sentence, for a file that is missing, damaged or foreign, and OSError
    where it has changed since it was opened; `reopen` goes on with a file that is whole again.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.bytes_read = 0
        self.reopen(first=True)

    def reopen(self, *, first: bool = False) -> None:
        """Open the file at the same path again; ValueError unless it holds the same tensors in the same places.

        That its numbers are the same as before is the caller's promise.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no checkpoint at {self.path}; put it back or correct the path")
        file = self.path.open("rb", buffering=0)
        try:
            header, start = _read_header(file, self.path.name)
            if not first and (header, start) != (self._header, self._start):
                raise ValueError(f"{self.path.name} holds other tensors than before; load the model again")
            places = _places(header, start, os.fstat(file.fileno()).st_size, self.path.name)
        except BaseException:
            file.close()
            raise
        self.close()
        self._file, self._header, self._start, self.places = file, header, start, places
        self._state = self._stat()

    def close(self) -> None:
        """Let go of the file; nothing can be read until `reopen`."""
        if hasattr(self, "_file"):
            self._file.close()

    @property
    def metadata(self) -> dict[str, str]:
        """The strings in the file's header."""
        return self._header.get("__metadata__", {})

    def config(self) -> ModelConfig:
        """The model's sizes; ValueError where the file is not one of our checkpoints."""
        if self.metadata.get("format") != "moe-lessons-1":
            raise ValueError(f"{self.path.name} is not a checkpoint of moe-lessons: its header does not say so")
        try:
            described = json.loads(self.metadata["config"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path.name} does not say what model it holds ({error!r}); copy it again") from None
        return ModelConfig.from_dict(described)

    def read(self, name: str, row: int | None = None, words: str = "") -> Tensor:
        """A tensor, or one row along its first axis, as the file has it: freshly read, its bytes counted.

        `words` say in an error what was wanted. Raises OSError where the file is not what it was, and ValueError for a
        row that the tensor does not have.
        """
        place = self.places[name]
        rows = place.shape[0] if place.shape else 0
        if row is not None and not 0 <= row < rows:
            raise ValueError(f"row is {row}, but {name} has {rows} rows; they are counted from 0")
        shape = place.shape if row is None else place.shape[1:]
        size = math.prod(shape) * place.dtype.itemsize
        buffer = bytearray(size)
        self._fill(buffer, place.start + (row or 0) * size, words or name)
        self.bytes_read += size
        return torch.frombuffer(buffer, dtype=place.dtype).view(shape) if size else torch.empty(shape)

    def _fill(self, buffer: bytearray, start: int, words: str) -> None:
        reason = ""
        try:
            if self._stat() != self._state:
                reason = "the file has changed since it was opened"
            else:
                self._file.seek(start)
                view, done = memoryview(buffer), 0
                while done < len(buffer) and (count := self._file.readinto(view[done:])):
                    done += count
                if done < len(buffer):
                    reason = f"the file ends after {done} of its {len(buffer)} bytes"
        except (OSError, ValueError) as error:  # ValueError: it is closed
            reason = str(error)
        if reason:
            raise OSError(
                f"{words} could not be read from {self.path} ({reason}); put the file back and call reopen(), or load "
                "the model again"
            )

    def _stat(self) -> tuple[int, int]:
        """Size and time of the file that is open, whatever lies at its path by now."""
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns


def _read_header(file, name: str) -> tuple[dict, int]:
    """The header of a safetensors file, and where its tensors begin."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= _LONGEST_HEADER:
        raise ValueError(f"{name} is damaged or not a safetensors file (its header would have {length} bytes)")
    try:
        header = json.loads(file.read(length))
        if isinstance(header, dict) and isinstance(header.get("__metadata__", {}), dict):
            return header, 8 + length
        error = "its header is not a table of tensors"
    except ValueError as damage:
        error = str(damage)
    raise ValueError(f"{name} is damaged or not a safetensors file ({error}); copy it again")


def _places(header: dict, start: int, size: int, name: str) -> dict[str, Place]:
    try:
        entries = [(key, each) for key, each in header.items() if key != "__metadata__"]
        places = {
            key: Place(_DTYPES[each["dtype"]], tuple(each["shape"]), start + each["data_offsets"][0])
            for key, each in entries
        }
        end = max((place.start + place.bytes for place in places.values()), default=start)
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{name} has a header that cannot be followed ({error!r}); copy it again") from None
    if end > size:
        raise ValueError(f"{name} has {size:,} bytes, but its header promises {end:,}; copy it again")
    return places
