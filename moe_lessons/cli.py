"""The command `moe-lessons`: each sub-command is a module of moe_lessons.commands, loaded when it is asked for.

Such a module has `add_arguments(parser)` and `run(args) -> int`, the exit status. Bad input raises ValueError or
OSError with one sentence, which is all that the user sees of it.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from moe_lessons import __version__
from moe_lessons.idle_threads import wait_briefly

COMMANDS = {
    "doctor": "check this machine, and say what to do about each problem",
    "copy": "make a working copy of the lessons; never overwrites a file",
    "bundle": "prepare one folder from which a room without network installs the course",
    "kit": "write slides, printable sheets and answer keys of the lessons, for whoever teaches them",
    "certificate": "write a page of what this machine has on record: ledger, exercises, predictions",
    "train": "train a small dense or sparse model on a text",
    "count": "count a model's parameters, in all and at work on one token, its cache and its FLOPs",
    "class": "show on a projector what a room predicts, passes and measures",
    "join": "join a class, see each field that it is sent, leave it",
    "site": "show the built web site on this machine, for a projector",
    "bench": "measure dispatch, training, generation and start-up here, beside Hugging Face",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 where all went well, 1 after a sentence that says what did not."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="moe-lessons", description="A course from the dense transformer to the mixture of experts."
    )
    parser.add_argument("--version", action="version", version=f"moe-lessons {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if argv[:1] == [name]:
            module = import_module(f"moe_lessons.commands.{name}")
            module.add_arguments(sub)
    args = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack a letter of a file's name
    wait_briefly()
    try:
        status = module.run(args)
        sys.stdout.flush()  # here, where a reader that has gone is no traceback
        return status
    except KeyboardInterrupt:
        print("moe-lessons: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        _be_silent()
        return 141  # as of a program that SIGPIPE ends
    except (ValueError, OSError) as error:
        print(f"moe-lessons: {error}", file=sys.stderr)
        return 1


def _be_silent() -> None:
    """Let what is left in the buffer of our output go nowhere, or Python would complain of it at its end."""
    with suppress(OSError, ValueError):  # ValueError: it is no file, as in a test
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
