"""What there is to translate, found where it stands: lessons, quizzes, predictions, widgets and pages."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from moe_lessons.authoring import folder
from moe_lessons.languages.catalogs import WORDS
from moe_lessons.languages.markdown import messages
from moe_lessons.languages.pages import marked_in
from moe_lessons.languages.words import singular
from moe_lessons.resources import data_path

PACKAGE = Path(__file__).parents[1]
#: How JavaScript and Python mark a text: said at once, or said later through a name.
_IN_JAVASCRIPT = re.compile(r'\b(?:t|later)\(\s*("(?:[^"\\\n]|\\.)*")')
_IN_PYTHON = {"translate", "later"}
_WIDGETS = ("View", "Plane", "Board")  # how the names of those end that a lesson gives a title
_CLAIMS = ("claim", "question")
_QUIZ = ("title", "ask", "text", "why")
_PREDICTIONS = ("ask", "choices", "unit", "measure")

#: Each text, in the order in which a translator meets it, with the files that hold it.
Found = dict[str, list[str]]


def found_in(catalog: str) -> Found:
    """The texts that a catalog is to hold: those of a lesson, given its number, or those of everything else.

    Raises ValueError for a lesson that there is not.
    """
    found: Found = {}
    for where, text in _words() if catalog == WORDS else _of_lesson(catalog):
        places = found.setdefault(text, [])
        if where not in places:
            places.append(where)
    return found


def _of_lesson(number: str) -> Iterator[tuple[str, str]]:
    notebooks = [path for path in folder.targets() if path.stem[:2] == number]
    if not notebooks:
        raise ValueError(f"there is no lesson {number!r}; name lessons by their numbers, such as 05, or {WORDS!r}")
    for path in notebooks:
        for cell in folder.read(path).cells:
            if cell.cell_type == "markdown":
                for text in messages(cell.source):
                    yield f"notebooks/{path.name}", text
            elif cell.cell_type == "code":
                for text in titles_in(cell.source):
                    yield f"notebooks/{path.name} (code)", text
    tasks = PACKAGE / "exercises" / f"lesson_{number}.py"
    if tasks.exists():
        yield from (
            (f"moe_lessons/exercises/{tasks.name}", text) for text in exercises_in(tasks.read_text(encoding="utf-8"))
        )
    for kind, fields in (("quiz", _QUIZ), ("predictions", _PREDICTIONS)):
        path = data_path(kind) / f"{number}.toml"
        if path.exists():
            written = tomllib.loads(path.read_text(encoding="utf-8"))
            units = set(_strings(written, ("unit",)))
            for text in _strings(written, fields):
                for each in dict.fromkeys((text, singular(text) if text in units else text)):
                    if re.search(r"[^\W\d_]", each):
                        yield f"data/{kind}/{path.name}", each


def titles_in(code: str) -> list[str]:
    """The titles that a cell gives to widgets."""
    lines = [line for line in code.splitlines() if not line.startswith(("%", "!"))]
    calls = [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id.endswith(_WIDGETS):
            given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "title")]
            found += [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return found


def exercises_in(code: str) -> list[str]:
    """What the exercises of a module ask, what they say when it is done, and their hints."""
    found = []
    for word in ast.walk(ast.parse(code)):
        if isinstance(word, ast.keyword) and word.arg in ("task", "success"):
            found.append(word.value)
        elif isinstance(word, ast.keyword) and word.arg == "mistakes" and isinstance(word.value, ast.Dict):
            found += word.value.keys
    return [str(one.value) for one in found if isinstance(one, ast.Constant)]


def _strings(value: object, fields: tuple[str, ...], name: str = "") -> Iterator[str]:
    """The texts below these names, at any depth."""
    if isinstance(value, str) and name in fields:
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _strings(each, fields, key)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, fields, name)


def _words() -> Iterator[tuple[str, str]]:
    claims = tomllib.loads(data_path("claims.toml").read_text(encoding="utf-8"))
    yield from (("data/claims.toml", text) for text in _strings(claims, _CLAIMS))
    for path in sorted(PACKAGE.rglob("*")):
        where = path.relative_to(PACKAGE.parent)
        if path.suffix not in (".js", ".py", ".html", ".md") or "static" in where.parts:
            continue
        source = path.read_text(encoding="utf-8")
        if path.suffix == ".js":
            found = [json.loads(text) for text in _IN_JAVASCRIPT.findall(source)]
        elif path.suffix == ".py":
            found = marked_in_python(source)
        else:
            found = marked_in(source)
        yield from ((where.as_posix(), text) for text in found if re.search(r"[^\W\d_]", text))


def marked_in_python(source: str) -> list[str]:
    """The texts that a module hands to `translate` or `later`, in their order."""
    if not any(f"{name}(" in source for name in _IN_PYTHON):
        return []
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    return [
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in _IN_PYTHON
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]
