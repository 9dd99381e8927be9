"""`moe-lessons doctor`: what this machine has for the course, and one sentence on each thing it lacks."""

import argparse
import json
import sys
from collections.abc import Iterable

from moe_lessons.checkup import Check, examine


def report(checks: Iterable[Check]) -> str:
    """The checks as lines of text, remedies below what they are for."""
    lines = []
    for check in checks:
        lines.append(f"{'PROBLEM' if check.remedy else 'ok':8}{check.name:10}{check.found}")
        if check.remedy:
            lines.append(f"{'':18}-> {check.remedy}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much to look at, and for whom."""
    parser.add_argument("--quick", action="store_true", help="without the speed test, which takes ten seconds")
    parser.add_argument("--json", action="store_true", help="the same for programs")


def run(args: argparse.Namespace) -> int:
    """Print each check as soon as it is done; 1 where there is a problem."""
    checks = []
    for check in examine(speed=not args.quick):
        checks.append(check)
        if not args.json:
            print(report([check]), flush=True)
            if check.name == "course" and not args.quick and sys.stdout.isatty():
                print("        training for ten seconds ...", end="\r", flush=True)
    if args.json:
        print(json.dumps([check._asdict() | {"numbers": dict(check.numbers)} for check in checks], indent=2))
    return int(any(check.remedy for check in checks))
