"""The widgets' states of executed lessons: kept beside the notebooks, for pages that have no kernel."""

import gzip
import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from moe_lessons.authoring import folder
from moe_lessons.files import replacing

#: As in moe_lessons.widgets.shared.state, which the lesson's kernel imports and authoring must not.
STATE = "application/vnd.moe-lessons.state+json"
CARRY = {"MOE_LESSONS_CARRY_STATES": "1"}

#: The states of a lesson by "NN-cell", a cell's id as `clean` gives it, in the order of the cell's widgets.
States = dict[str, list[dict[str, Any]]]


def take(notebook: NotebookNode, lesson: str) -> States:
    """Take the states out of the outputs of a lesson executed with CARRY set."""
    taken: States = {}
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            state = output.get("data", {}).pop(STATE, None)
            if state is not None:
                taken.setdefault(f"{lesson.split('_')[0]}-{number:03d}", []).append(state)
    return taken


def path_of(lesson: str, where: Path | None = None) -> Path:
    """The file of a lesson's states, given its notebook's stem; by default beside the notebooks, in data/states."""
    return (where or folder.NOTEBOOKS.parent / "data" / "states") / f"{lesson.split('_')[0]}.json.gz"


def write(states: States, lesson: str, where: Path | None = None) -> Path:
    """Write a lesson's states whole or not at all; equal states give equal bytes."""
    path = path_of(lesson, where)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(states, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    with replacing(path) as scratch:
        scratch.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return path


def read(lesson: str, where: Path | None = None) -> States:
    """A lesson's states, none where they were never written; ValueError for a file that is none of ours."""
    path = path_of(lesson, where)
    if not path.exists():
        return {}
    try:
        return json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        remedy = f"write it again: python -m moe_lessons.authoring states notebooks/{lesson}.ipynb"
        raise ValueError(f"{path.name} holds no widget states; {remedy}") from error
