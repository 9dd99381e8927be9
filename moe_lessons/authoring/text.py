"""A lesson as a percent-format Python file, and back: sources and tags, nothing else."""

import re

import nbformat
from nbformat import NotebookNode

from moe_lessons.languages.words import translate


def from_text(source: str) -> NotebookNode:
    """The notebook, without outputs, that a percent-format source describes; tags stay, other metadata goes."""
    import jupytext

    return bare(jupytext.reads(source, fmt="py:percent"))


def to_text(notebook: NotebookNode) -> str:
    """The percent-format source of a notebook: what `from_text` reads back."""
    import jupytext

    sources = bare(notebook)
    sources.metadata["jupytext"] = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "tags,-all"}
    return jupytext.writes(sources, fmt="py:percent")


def bare(notebook: NotebookNode) -> NotebookNode:
    """A copy with sources and tags alone."""
    cells = []
    for cell in notebook.cells:
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        tags = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        cells.append(make(cell.source, metadata=tags))
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata())


def metadata() -> dict[str, dict[str, str]]:
    """What a stored lesson says of its kernel."""
    return {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def header(notebook: NotebookNode) -> tuple[str, int]:
    """A lesson's title, in the language that is spoken, and its minutes; ValueError where its first cell lacks them."""
    text = notebook.cells[0].source if notebook.cells else ""
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    minutes = re.search(r"(\d+)\**\s+minutes", text)
    if not title or not minutes:
        raise ValueError("the first cell must hold '# a title' and 'about 30 minutes'")
    return translate(title.group(1).strip()), int(minutes.group(1))
