"""`moe-lessons kit DIR`: slides, printable sheets and answer keys of the lessons."""

import argparse
from pathlib import Path

KINDS = ("slides", "sheet", "answers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the lessons, and what of them."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="made if it does not exist")
    parser.add_argument("lessons", nargs="*", metavar="NN", help="numbers of lessons, such as 05 07; default: all")
    parser.add_argument("--sharp", action="store_true", help="run the lessons here, for pictures twice as sharp")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="default: all three")


def run(args: argparse.Namespace) -> int:
    """Write the pages, and say where they are."""
    from moe_lessons.kit.folder import INDEX, make_kit

    made = make_kit(args.folder, args.lessons, args.only, args.sharp)
    size = sum(path.stat().st_size for path in made) / 1e6
    pages = "1 page" if len(made) == 1 else f"{len(made)} pages"
    print(f"{pages}, {size:.1f} MB; listed in {args.folder / INDEX}")
    return 0
