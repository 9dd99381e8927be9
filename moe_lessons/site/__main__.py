"""`python -m moe_lessons.site`: build the site; what make site calls."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Build the site; 0 where all went well, 1 after a sentence that says what did not."""
    from moe_lessons.site.build import build

    parser = argparse.ArgumentParser(prog="python -m moe_lessons.site", description="Build the course's web site.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("site"), help="where to (default: site)")
    parser.add_argument("--lessons", nargs="+", metavar="NN", help="only these, such as 00 05; default: all")
    parser.add_argument("--languages", nargs="+", metavar="CODE", help="beside English, such as de; default: all")
    args = parser.parse_args(argv)
    try:
        build(args.folder.resolve(), set(args.lessons) if args.lessons else None, args.languages)
    except (ValueError, OSError) as error:
        print(f"site: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
