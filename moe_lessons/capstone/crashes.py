"""Whose fault an exception in the arena is, and in which line."""

import sysconfig
import traceback
from pathlib import Path

from moe_lessons.blame import deepest_line

_NOT_THEIRS = tuple(
    str(Path(folder).resolve())
    for folder in (Path(__file__).parent.parent, *(sysconfig.get_path(n) for n in ("stdlib", "purelib", "platlib")))
)


def crash(error: BaseException) -> str:
    """An exception in one sentence, with the deepest line of the router's own code that it passed through."""
    said = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return f"{type(error).__name__}{deepest_line(error, lambda file: not _is_ours(file))}: {said}"


def is_theirs(error: BaseException) -> bool:
    """Whether an exception passed through code that is neither the course's nor a library's."""
    return any(not _is_ours(frame.filename) for frame in traceback.extract_tb(error.__traceback__)[1:])


def _is_ours(filename: str) -> bool:
    return filename.startswith("<frozen") or str(Path(filename).resolve()).startswith(_NOT_THEIRS)
