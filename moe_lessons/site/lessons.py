"""Lessons as Sphinx reads them: pictures in files of their own, and a place for each widget to come to life."""

import ast
import base64
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from moe_lessons import widgets
from moe_lessons.authoring import folder, states
from moe_lessons.languages import later
from moe_lessons.languages.catalogs import SOURCE
from moe_lessons.languages.lessons import in_language
from moe_lessons.site.editions import Edition
from moe_lessons.widgets.shared.state import LAYOUT, plain

#: Of all languages together: the folder of pictures and states, below the site's own.
BESIDE = "widgets_of_lessons"
ENGLISH = Edition(SOURCE, "English", "")
_CLASSES = [name for name in widgets.__all__ if name != "View"]
_WIDGET = re.compile(rf"<({'|'.join(_CLASSES)})\b")
_LINK = re.compile(r"(href=[\"']\d\d_\w+)\.ipynb")
_FIRST_CELL = re.compile(r"(<tr[^>]*>\s*)<td([^>]*)>(.*?)</td>", re.DOTALL)
_UNSOLVED = re.compile(r"^[\w.]+: not attempted yet$", re.MULTILINE)
_SOLVE = later(
    "Solve this in JupyterLab, where your answer is checked: <code>make lab</code> opens the lesson; "
    '<a href="../index.html#install">how to install it</a>.'
)
_LONG = 10  # lines of code that a reader may want out of the way of what they draw
# What a page says of code that only a kernel can turn.
_NO_STATE = later("Here you see the still picture. The live one is in JupyterLab: run this cell there (make lab).")


def prepare(
    notebook: NotebookNode, lesson: str, beside: Path, kept: states.States, edition: Edition = ENGLISH
) -> NotebookNode:
    """The lesson with each output as a page of the edition shows it.

    Pictures and widget states go into the folder `beside`, where those of all editions are the same.
    """
    beside.mkdir(parents=True, exist_ok=True)
    notebook = in_language(notebook, lesson[:2], edition.code)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        waiting = iter(kept.get(cell.id, []))
        drawn = 0
        for number, output in enumerate(cell.outputs, start=1):
            data = output.get("data", {})
            if "image/png" in data or _WIDGET.match(data.get("text/plain", "")):
                drawn += 1
                _show(output, f"{cell.id}-{number}", beside, waiting, edition)
            elif "text/markdown" in data:
                data["text/markdown"] = edition.titled(data["text/markdown"])
            elif "text/html" in data:
                data["text/html"] = edition.page(_headed(_LINK.sub(r"\1.html", data["text/html"])), lesson[:2])
            elif output.output_type == "stream" and _UNSOLVED.search(output.text):
                cell.outputs[number - 1] = _html(f'<p class="moe-exercise">{edition.said(_SOLVE)}</p>')
        if (drawn and len(cell.source.splitlines()) > _LONG) or (not cell.outputs and _only_imports(cell.source)):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    return notebook


def _only_imports(source: str) -> bool:
    """Whether code only brings names, and perhaps sets something up: nothing to read before the first picture."""
    lines = [line for line in source.splitlines() if not line.startswith(("%", "!"))]
    body = ast.parse("\n".join(lines)).body
    setup = [isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) for one in body]
    brings = [isinstance(one, ast.Import | ast.ImportFrom) for one in body]
    return any(brings) and all(a or b for a, b in zip(setup, brings, strict=True))


def with_defaults(state: dict[str, Any]) -> dict[str, Any]:
    """A recorded state with the traits that its widget has gained since, as they stand at first."""
    for name, trait in getattr(widgets, state["name"]).class_traits(sync=True).items():
        if name[0] != "_" and name not in LAYOUT and name not in state["traits"]:
            state["traits"][name] = plain(trait.default())
    return state


def _show(output: NotebookNode, name: str, beside: Path, waiting: Iterator[dict[str, Any]], edition: Edition) -> None:
    """Replace an output by the HTML of its still picture, in a place where its widget, if it is one, can live."""
    data, alt = output.data, output.metadata.get("image/png", {}).get("alt", "")
    place = f"../{edition.root}{BESIDE}"
    still = edition.page(_headed(data.get("text/html", "")), name[:2])
    if "image/png" in data:
        picture = base64.b64decode(data["image/png"])
        (beside / f"{name}.png").write_bytes(picture)
        width, height = _size(picture)
        still = (
            f'<img src="{place}/{name}.png" alt="{html.escape(alt)}" width="{width}" height="{height}" '
            'loading="lazy" decoding="async" class="moe-still">'
        )
    page = still
    if _WIDGET.match(data.get("text/plain", "")):
        state = next(waiting, None)
        note, where = edition.said(_NO_STATE), ""
        if state:
            note, where = "", f' data-state="{place}/{name}.json" data-view="{state["name"]}"'
            text = json.dumps(with_defaults(state), ensure_ascii=False, separators=(",", ":"))
            (beside / f"{name}.json").write_text(text, encoding="utf-8")
        page = (
            f'<div class="moe-host"{where}><div class="moe-host-widget">{still}</div>'
            f'<p class="moe-host-note" role="status"{"" if note else " hidden"}>{note}</p></div>'
        )
    output.output_type, output.data, output.metadata = "display_data", {"text/html": page}, {}
    output.pop("execution_count", None)


def _headed(page: str) -> str:
    """An output whose headings follow a section's, and whose rows have names where no column has one."""
    page = page.replace("<h4>", "<h3>").replace("</h4>", "</h3>")
    return page if "<th" in page else _FIRST_CELL.sub(r'\1<th scope="row"\2>\3</th>', page)


def _html(page: str) -> NotebookNode:
    return NotebookNode(output_type="display_data", data={"text/html": page}, metadata={})


def _size(png: bytes) -> tuple[int, int]:
    """Width and height in a PNG's header, so that a page keeps their room before the picture is there."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def titles() -> list[tuple[str, Path]]:
    """Each lesson's name without its ending, and its notebook."""
    return [(path.stem, path) for path in folder.targets()]
