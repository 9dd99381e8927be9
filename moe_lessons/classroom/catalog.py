"""The exercises' names and known mistakes, read from their source: a class starts without torch, at once."""

import ast
from functools import cache
from pathlib import Path

import moe_lessons

_FOLDER = Path(moe_lessons.__file__).parent / "exercises"


@cache
def exercises() -> dict[str, tuple[str, ...]]:
    """The hints of each exercise's known mistakes, in their order, by its whole name, such as "05.combine"."""
    found = {}
    for path in sorted(_FOLDER.glob("lesson_[0-9][0-9].py")):
        lesson = path.stem.removeprefix("lesson_")
        found |= {f"{lesson}.{name}": hints for name, hints in _declared(path).items()}
    return found


def names(lesson: str) -> list[str]:
    """A lesson's exercises, without its number, in their order."""
    return [name.partition(".")[2] for name in exercises() if name.startswith(f"{lesson}.")]


def _declared(path: Path) -> dict[str, tuple[str, ...]]:
    """What a file declares, and what it takes over from another one by a star, in the order of EXERCISES."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    homes = {
        alias.name: _FOLDER / f"{(node.module or '').rpartition('.')[2]}.py"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found: dict[str, tuple[str, ...]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            for item in node.value.elts:
                if isinstance(item, ast.Starred) and isinstance(item.value, ast.Name):
                    found |= _declared(homes[item.value.id])
                elif isinstance(item, ast.Call) and getattr(item.func, "id", "") == "Exercise":
                    name, hints = _exercise(item)
                    found[name] = hints
    return found


def _exercise(call: ast.Call) -> tuple[str, tuple[str, ...]]:
    parts = {keyword.arg: keyword.value for keyword in call.keywords}
    mistakes = parts.get("mistakes")
    hints = mistakes.keys if isinstance(mistakes, ast.Dict) else []
    return ast.literal_eval(parts["name"]), tuple(ast.literal_eval(hint) for hint in hints if hint is not None)
