"""`moe-lessons bundle DIR`: one folder from which a room without network installs the course."""

import argparse
import sys
import time
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, and the machines in the room."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="made if it does not exist; a stopped one goes on")
    parser.add_argument(
        "--for",
        dest="platforms",
        nargs="+",
        metavar="SYSTEM",
        help="linux, linux-arm, mac, windows; default: this machine's",
    )
    parser.add_argument("--python", nargs="+", metavar="VERSION", help="3.11 to 3.14; default: the one that runs this")


def run(args: argparse.Namespace) -> int:
    """Fill the folder, and say how large it is and how to go on."""
    from moe_lessons.bundle import Target, make_bundle, this_platform

    pythons = args.python or [f"{sys.version_info[0]}.{sys.version_info[1]}"]
    targets = [Target(platform, python) for platform in args.platforms or [this_platform()] for python in pythons]
    begin = time.monotonic()
    size = make_bundle(args.folder, list(dict.fromkeys(targets)))
    print(f"{args.folder}: {size / 1e6:.0f} MB for {', '.join(map(str, targets))}, in {time.monotonic() - begin:.0f} s")
    print(f"try it: sh {args.folder}/install.sh /tmp/try; then copy the folder to every machine, or to a stick")
    return 0
