"""Which cells show something else than they did when they were stored, by the rules that nbval follows."""

import configparser
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from moe_lessons.authoring import folder
from moe_lessons.authoring.clean import WIDGET, as_on_screen

IGNORED = {"nbval-ignore-output", "nbval-skip", "raises-exception", "nbval-raises-exception"}
_NOT_COMPARED = {WIDGET, "image/png"}


def is_compared(cell: Mapping[str, Any]) -> bool:
    """Whether strict nbval holds this cell's output to the stored one."""
    return cell["cell_type"] == "code" and not IGNORED & set(cell["metadata"].get("tags", []))


def sanitize(text: str) -> str:
    """What is left of an output when all that may differ between two runs is taken out (tests/sanitize.cfg)."""
    for regex, replacement in _rules(folder.NOTEBOOKS.parent / "tests" / "sanitize.cfg"):
        text = re.sub(regex, replacement, text)
    return text


@cache
def _rules(path: Path) -> list[tuple[str, str]]:
    """Regular expressions and what takes their place; none where there is no such file."""
    rules = configparser.ConfigParser(interpolation=None)
    rules.read(path, encoding="utf-8")
    return [(rules[name]["regex"], rules[name]["replace"]) for name in rules.sections()]


def differing_cells(stored: Mapping[str, Any], executed: Mapping[str, Any]) -> list[int]:
    """The numbers, from 0 over all cells, of compared cells whose outputs differ; ValueError for another notebook."""
    if [cell["source"] for cell in stored["cells"]] != [cell["source"] for cell in executed["cells"]]:
        raise ValueError("the two notebooks have other cells; compare a notebook with its own execution")
    pairs = enumerate(zip(stored["cells"], executed["cells"], strict=True))
    return [
        number
        for number, (old, new) in pairs
        if is_compared(old) and _said(old.get("outputs", [])) != _said(new.get("outputs", []))
    ]


def _said(outputs: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Sanitized texts by stream and by kind of data, in order."""
    streams: dict[str, str] = defaultdict(str)
    said: dict[str, list[str]] = defaultdict(list)
    for output in outputs:
        if output["output_type"] == "stream":
            streams[output["name"]] += output["text"]
        for kind, data in output.get("data", {}).items():
            if kind not in _NOT_COMPARED:
                said[kind].append(sanitize(str(data)))
    said.update({name: [sanitize(as_on_screen(text))] for name, text in streams.items()})
    return dict(said)
