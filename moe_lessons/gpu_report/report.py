"""The report: its parts one after the other, each written down as soon as it is there, whatever becomes of the next."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.files import replacing

ALLOWED = 570.0  # seconds for everything: under ten minutes
LEAST = 5.0  # seconds: with less, no part begins
NO_TIME = "no time was left for it; the same command with the same file goes on here"


class Part(NamedTuple):
    """Something to measure: in which group of the file, under which name, and for how many seconds at most."""

    group: str
    name: str
    most: float
    measure: Callable[[float], Any]  # is given the seconds it may take; what it returns is fit for JSON


def write_report(
    file: Path,
    head: dict[str, Any],
    parts: Iterable[Part],
    say: Callable[[str], object],
    allowed: float = ALLOWED,
) -> dict[str, Any]:
    """Measure the parts in turn and return what `file` then holds: the head, and each part's result or error.

    A part that fails or takes too long leaves a sentence in its place, and the next one begins. A file that is there
    is gone on with: what it holds without an error, under the same head, is kept. Raises ValueError where the file is
    something else, OSError where it cannot be written (before anything is measured).
    """
    deadline = time.monotonic() + allowed
    report = _begun(file, head)
    _write(file, report)
    for part in parts:
        group = report.setdefault(part.group, {})
        if "result" in group.get(part.name, {}):
            say(f"{part.name}: kept from an earlier run")
            continue
        begin = time.monotonic()
        left = min(part.most, deadline - begin)
        if left < min(LEAST, part.most):
            group[part.name] = {"error": NO_TIME}
        else:
            try:
                group[part.name] = {"result": part.measure(left)}
            except Exception as error:  # whatever it is, the other parts are still wanted
                group[part.name] = {"error": one_line(error)}
            group[part.name]["took"] = round(time.monotonic() - begin, 1)
        _write(file, report)
        entry = group[part.name]
        say(f"{part.name}: " + (entry["error"] if "error" in entry else f"{entry['took']:.0f} s"))
    return report


def one_line(error: BaseException) -> str:
    """An error as one line: its first, and its last where there are more, which is what a traceback comes to."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"


def read_report(file: Path) -> dict[str, Any]:
    """A report from its file; ValueError, in one sentence, where it is none."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no report of moe-lessons bench --gpu-report; name another file") from error
    if not isinstance(report, dict) or not {"machine", "device", "quick"} <= set(report):
        raise ValueError(f"{file} is no report of moe-lessons bench --gpu-report; name another file")
    return report


def _begun(file: Path, head: dict[str, Any]) -> dict[str, Any]:
    if not file.exists():
        return dict(head)
    found = read_report(file)
    if any(found.get(name) != value for name, value in head.items()):
        raise ValueError(f"{file} is of another machine, version or size of run; name another file")
    return found


def _write(file: Path, report: dict[str, Any]) -> None:
    with replacing(file) as scratch:
        scratch.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
