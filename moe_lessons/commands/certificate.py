"""`moe-lessons certificate NAME`: a page of what this machine has on record."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose, and where to."""
    parser.add_argument("name", metavar="NAME", help='yours, in quotation marks where it has blanks: "Ada Lovelace"')
    parser.add_argument("--out", type=Path, default=Path("certificate.html"), help="default: certificate.html")


def run(args: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    from moe_lessons.kit import certificate

    if certificate(args.name, args.out).path is None:
        raise ValueError('NAME is empty; type yours: moe-lessons certificate "Ada Lovelace"')
    print(f"{args.out}: open it in a browser, and print it from there")
    return 0
