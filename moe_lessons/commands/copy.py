"""`moe-lessons copy DIR`: a folder of lessons to work in, so that an update never meets a learner's own answers."""

import argparse
import contextlib
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from moe_lessons.files import replacing
from moe_lessons.languages.catalogs import SOURCE, languages
from moe_lessons.languages.chosen import ENTRY, RECORD
from moe_lessons.languages.lessons import file_in_language
from moe_lessons.resources import notebooks_path


class Copied(NamedTuple):
    """What became of each lesson, by file name."""

    new: list[str]
    updated: list[str]  # nothing had been changed in it since it was copied, and the course has a newer one
    same: list[str]  # already there, as in the course
    kept: list[str]  # already there, and the learner's own
    behind: list[str]  # the learner's own too, while the course has a newer one


def copy_lessons(target: Path, source: Path | None = None, language: str = "") -> Copied:
    """Copy every lesson that `target` lacks, and renew those that nobody has touched; what a learner changed stays.

    Lessons come in `language`, or else in that of the folder's earlier copies, or else in English; widgets of its
    notebooks speak it, too. Raises ValueError where `target` is a file or the course's own folder, or for a language
    that the course does not have; OSError where it cannot be written.
    """
    source = source or notebooks_path()
    if language and language not in (known := [SOURCE, *languages()]):
        raise ValueError(f"the language is {language!r}, but the course has: {', '.join(known)}")
    if target.exists() and not target.is_dir():
        raise ValueError(f"DIR is {str(target)!r}, which is a file; name a folder, or one that does not exist yet")
    if target.resolve() == source.resolve():
        raise ValueError(f"DIR is {str(target)!r}, the course's own folder; name another one")
    target.mkdir(parents=True, exist_ok=True)
    result = Copied([], [], [], [], [])
    record = _read_record(target)
    before = dict(record)
    if language:
        record[ENTRY] = language
    spoken = record.get(ENTRY, SOURCE)
    try:
        for lesson in sorted(source.glob("[0-9]*.ipynb")):
            content = lesson.read_bytes()
            if spoken != SOURCE:
                content = file_in_language(content, lesson.stem[:2], spoken)
            _copy_one(target / lesson.name, content, record, result)
    finally:
        if record != before:
            _write(target / RECORD, (json.dumps(record, indent=1) + "\n").encode(), instead=True)
    return result


def _copy_one(mine: Path, content: bytes, record: dict[str, str], result: Copied) -> None:
    """Copy, renew or keep one lesson, and note what was done."""
    name = mine.name
    copied_as = record.get(name)
    if not mine.exists():
        _write(mine, content)
        result.new.append(name)
    elif (found := mine.read_bytes()) == content:
        result.same.append(name)
    elif copied_as == _checksum(found):
        _write(mine, content, instead=True)
        result.updated.append(name)
    else:
        (result.kept if copied_as == _checksum(content) else result.behind).append(name)
        return
    if _is_as_shipped(content):
        record[name] = _checksum(content)
    else:
        record.pop(name, None)


def _write(path: Path, content: bytes, *, instead: bool = False) -> None:
    """Write a file whole or not at all, also on a full disk; one that exists only `instead` of it."""
    with replacing(path) as scratch:
        scratch.write_bytes(content)
        if path.exists() and not instead:
            raise FileExistsError(f"{path} appeared while it was being copied; copy again")


def _is_as_shipped(content: bytes) -> bool:
    """Whether nobody has saved this notebook in Jupyter: who works in the course's own folder has answers in it, and
    they must not be taken for the course's."""
    try:
        return json.loads(content)["metadata"]["language_info"] == {"name": "python"}
    except (ValueError, KeyError, TypeError):
        return False


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_record(target: Path) -> dict[str, str]:
    """What was copied here before; nothing where the record is missing or spoiled, so that every file is kept."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return {str(name): str(value) for name, value in json.loads((target / RECORD).read_bytes()).items()}
    return {}


def trust(paths: list[Path]) -> None:
    """Tell Jupyter that the outputs stored in these notebooks are our own, so that it shows their tables at once.

    A convenience: where Jupyter keeps no signatures the tables come with the first run of their cells.
    """
    with contextlib.suppress(Exception):
        import nbformat
        from jupyter_core.paths import jupyter_data_dir
        from nbformat.sign import NotebookNotary

        Path(jupyter_data_dir()).mkdir(parents=True, exist_ok=True, mode=0o700)
        notary = NotebookNotary()
        for path in paths:
            notary.sign(nbformat.read(path, as_version=4))


def report(result: Copied, folder: Path) -> list[str]:
    """What was done, one sentence for each kind; nothing on lessons that are as they were."""
    lines = []
    if result.new:
        lines.append(f"{_lessons(result.new)} copied to {folder}")
    if result.updated:
        lines.append(
            f"{_lessons(result.updated)} in {folder} renewed, untouched since copied: {', '.join(result.updated)}"
        )
    if result.behind:
        lines.append(f"newer in the course than yours, and yours kept: {', '.join(result.behind)}")
        lines.append(f"to get one of these afresh, rename yours in {folder} and copy again")
    return lines


def _lessons(names: list[str]) -> str:
    return "1 lesson" if len(names) == 1 else f"{len(names)} lessons"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder to copy into."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="made if it does not exist")
    parser.add_argument("--language", default="", metavar="CODE", help="such as de; default: as before, or English")
    parser.add_argument("--quiet", action="store_true", help="say only what changed")


def run(args: argparse.Namespace) -> int:
    """Copy, and say what was done."""
    result = copy_lessons(args.folder, language=args.language)
    trust([args.folder / name for name in result.new + result.updated])
    for line in report(result, args.folder):
        print(line)
    if not args.quiet:
        print(f"{_lessons(result.same)} as in the course, {len(result.kept) + len(result.behind)} changed by you")
        print(f"open them with: jupyter lab {args.folder}")
    return 0
