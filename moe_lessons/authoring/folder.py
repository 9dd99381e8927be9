"""The folder of lessons: which there are, and each read and written whole."""

from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from moe_lessons.files import replacing

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def targets(given: Sequence[Path] = ()) -> list[Path]:
    """The notebooks given, or every lesson; ValueError where there is none."""
    found = list(given) or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not found:
        raise ValueError(f"no notebook in {NOTEBOOKS.name}/; build one first, or name it")
    return found


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all, with a newline at its end."""
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def read(path: Path) -> NotebookNode:
    """A notebook from disk; ValueError with its name where it is none."""
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (nbformat.reader.NotJSONError, UnicodeDecodeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a notebook; restore it with git") from error
