"""A notebook that holds nothing random or local: fixed ids, no clocks, no widget state, whole streams."""

import re
from collections.abc import Iterator, Sequence

import nbformat
from nbformat import NotebookNode

from moe_lessons.authoring.text import bare, metadata

WIDGET = "application/vnd.jupyter.widget-view+json"
# Folders that tell where a notebook was made: a learner's machine has none of them.
ABSOLUTE = re.compile(
    r"(?<![\w.:/])/(?:home|root|work|tmp|usr|opt|Users|private|mnt|var|content)/[\w.]|[A-Z]:\\\\?Users"
)


def clean(notebook: NotebookNode, lesson: str = "cell") -> NotebookNode:
    """A copy that holds nothing random or local: fixed ids, no clocks, no widget state, whole streams.

    Ids begin with the number of the `lesson`, its file's stem, so that no two lessons share one.
    A widget's model id is dropped with its state: without it a reader sees the widget's still picture, with
    it "model not found". nbval does not compare that part. Raises ValueError where an output shows an
    absolute path.
    """
    fresh = nbformat.v4.new_notebook(metadata=metadata())
    for number, cell in enumerate(notebook.cells, start=1):
        copy = bare(nbformat.v4.new_notebook(cells=[cell])).cells[0]
        copy["id"] = f"{lesson.split('_')[0]}-{number:03d}"
        if cell.cell_type == "code":
            copy["execution_count"] = cell.get("execution_count")
            copy["outputs"] = list(_clean_outputs(cell.get("outputs", []), copy["execution_count"]))
            for line in _texts(copy["outputs"]):
                if found := ABSOLUTE.search(line):
                    where = line[max(0, found.start() - 40) : found.end() + 60].strip()
                    raise ValueError(f"cell {number} shows an absolute path: {where!r}; print a relative one")
        fresh.cells.append(copy)
    fresh.nbformat_minor = 5
    nbformat.validate(fresh)
    return fresh


def _clean_outputs(outputs: Sequence[NotebookNode], count: int | None) -> Iterator[NotebookNode]:
    merged: list[NotebookNode] = []
    for output in outputs:
        previous = merged[-1] if merged else None
        if output.output_type == "stream" and previous is not None and previous.get("name") == output.name:
            previous["text"] += output.text
        else:
            merged.append(nbformat.from_dict(dict(output)))
    for output in merged:
        output.pop("transient", None)
        if output.output_type == "stream":
            output["text"] = as_on_screen(output.text)
        elif output.output_type in ("display_data", "execute_result"):
            output["data"] = {kind: data for kind, data in sorted(output.data.items()) if kind != WIDGET}
            output["metadata"] = {kind: m for kind, m in output.metadata.items() if kind in output["data"]}
            if not output["data"]:
                continue
        if "execution_count" in output:
            output["execution_count"] = count
        yield output


def as_on_screen(text: str) -> str:
    """What a terminal shows of a stream: a carriage return begins its line anew."""
    lines = []
    for line in text.split("\n"):
        parts = [part for part in line.split("\r") if part]
        lines.append(parts[-1] if parts else "")
    return "\n".join(lines)


def _texts(outputs: Sequence[NotebookNode]) -> Iterator[str]:
    for output in outputs:
        if output.output_type == "stream":
            yield from output.text.splitlines()
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/") and isinstance(data, str):
                yield from data.splitlines()
