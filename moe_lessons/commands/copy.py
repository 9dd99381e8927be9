"""`moe-lessons copy DIR`: a folder of lessons to work in, so that an update never meets a learner's own answers."""

import argparse
from pathlib import Path
from typing import NamedTuple

from moe_lessons.resources import notebooks_path


class Copied(NamedTuple):
    """What became of each lesson, by file name."""

    new: list[str]
    same: list[str]  # already there, as in the course
    kept: list[str]  # already there, and the learner's own


def copy_lessons(target: Path, source: Path | None = None) -> Copied:
    """Copy every lesson that `target` lacks; what is there stays as it is.

    Raises ValueError where `target` is a file or the course's own folder, OSError where it cannot be written.
    """
    source = source or notebooks_path()
    if target.exists() and not target.is_dir():
        raise ValueError(f"DIR is {str(target)!r}, which is a file; name a folder, or one that does not exist yet")
    if target.resolve() == source.resolve():
        raise ValueError(f"DIR is {str(target)!r}, the course's own folder; name another one")
    target.mkdir(parents=True, exist_ok=True)
    result = Copied([], [], [])
    for lesson in sorted(source.glob("[0-9]*.ipynb")):
        content = lesson.read_bytes()
        try:
            with (target / lesson.name).open("xb") as file:  # x: refuses what exists, also in a race
                file.write(content)
            result.new.append(lesson.name)
        except FileExistsError:
            mine = (target / lesson.name).read_bytes()
            (result.same if mine == content else result.kept).append(lesson.name)
    return result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder to copy into."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="made if it does not exist")


def run(args: argparse.Namespace) -> int:
    """Copy, and say what was done."""
    result = copy_lessons(args.folder)
    print(f"{len(result.new)} new lessons in {args.folder}, {len(result.same)} were there already")
    if result.kept:
        print(f"kept as you changed them: {', '.join(result.kept)}")
        print("to get one of these afresh, rename yours and copy again")
    print(f"open them with: jupyter lab {args.folder}")
    return 0
