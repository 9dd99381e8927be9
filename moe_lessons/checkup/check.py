"""What a check finds, and sentences that several checks share."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

REINSTALL = "run `make lab` in the course's folder, or pip install it again"
ON_CPU = "; the lessons run on the CPU too"


class Check(NamedTuple):
    """One thing looked at; `remedy` is empty where nothing is wrong."""

    name: str
    found: str
    remedy: str = ""
    numbers: Mapping[str, float] = MappingProxyType({})  # what was measured, for programs


def shown(path: Path) -> str:
    """A path as people write it, with ~ for their own folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)


def first_line(error: object) -> str:
    """The first line of a message, or what kind of error it is where there is none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
