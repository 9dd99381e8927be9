"""A lesson in another language: its prose from the catalog, its code, outputs and everything else as it is."""

import copy
import json
from typing import Any

from moe_lessons.languages.catalogs import SOURCE, lessons_of, translations
from moe_lessons.languages.markdown import translated
from moe_lessons.languages.words import later

#: What stands below the title of a lesson that has no catalog.
UNTRANSLATED = later("This lesson has not been translated yet. You read it in English.")


def in_language(notebook: Any, lesson: str, code: str) -> Any:
    """A copy of a notebook with the prose of the language; a lesson without a catalog says in it that it has none.

    `lesson` is its number. A paragraph that the catalog lacks stays English.
    """
    notebook = copy.deepcopy(notebook)
    if code == SOURCE:
        return notebook
    said = translations(code, lesson)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = translated(_text(cell["source"]), said)
    if lesson not in lessons_of(code) and notebook["cells"]:
        first = notebook["cells"][0]
        title, _, rest = _text(first["source"]).partition("\n")
        note = translations(code).get(UNTRANSLATED, UNTRANSLATED)
        first["source"] = f"{title}\n\n*{note}*\n{rest}"
    return notebook


def file_in_language(content: bytes, lesson: str, code: str) -> bytes:
    """The same of a notebook's file; what is no notebook is given back as it is."""
    try:
        notebook = in_language(json.loads(content), lesson, code)
        for cell in notebook["cells"]:
            cell["source"] = _text(cell["source"]).splitlines(keepends=True)
    except (ValueError, KeyError, TypeError):
        return content
    return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()


def _text(source: str | list[str]) -> str:
    """A cell's source, which a file may hold as lines."""
    return source if isinstance(source, str) else "".join(source)
