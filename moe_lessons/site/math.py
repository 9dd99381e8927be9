"""MathJax for the lessons' pages, from the npm package that `npm ci` brings; nothing of it is in the repository."""

import shutil
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2] / "node_modules" / "mathjax" / "es5"
_PARTS = ["tex-chtml.js", "output/chtml/fonts/woff-v2"]


def copy_mathjax(target: Path, package: Path = _PACKAGE) -> None:
    """Copy what draws formulas, with its fonts; FileNotFoundError where npm has not brought it."""
    for part in _PARTS:
        source = package / part
        if not source.exists():
            raise FileNotFoundError(f"{source.name} of MathJax is missing; run npm ci, then make site")
        goal = target / part
        goal.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, goal, dirs_exist_ok=True)
        else:
            shutil.copy(source, goal)
