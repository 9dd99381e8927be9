"""`moe-lessons join`: join a class, see each field that it is sent, leave it."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from moe_lessons.outbox.membership import Membership


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which class, under which name; or what to do with the one that was joined."""
    parser.add_argument("address", nargs="?", metavar="ADDRESS", help="the class's, as the teacher shows it")
    parser.add_argument("code", nargs="?", metavar="CODE", help="the class's, as the teacher shows it")
    parser.add_argument("--name", help="what the class calls you on its board; asked for where it is left out")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="the class's shared folder, where there is no server"
    )
    parser.add_argument("--show", action="store_true", help="show each field that was or would be sent")
    parser.add_argument("--leave", action="store_true", help="send nothing from now on, and forget the class")


def run(args: argparse.Namespace) -> int:
    """Do the one thing that was asked for."""
    wishes = [args.show, args.leave, bool(args.address), args.folder is not None]
    if sum(wishes) != 1 or (args.address and not args.code):
        raise ValueError("give ADDRESS and CODE as the teacher shows them, or one of --folder DIR, --show, --leave")
    if args.show:
        return _show()
    return _leave() if args.leave else _join(args)


def _join(args: argparse.Namespace) -> int:
    from moe_lessons.outbox.delivery import deliver
    from moe_lessons.outbox.entries import entry
    from moe_lessons.outbox.membership import join, private_dir
    from moe_lessons.outbox.names import name_from
    from moe_lessons.outbox.place import member_path
    from moe_lessons.outbox.waiting import arrived

    address = _address(args.address) if args.address else ""
    folder = _folder(args.folder) if args.folder else ""
    name = name_from(_name(args.name)) or "Guest"
    member = Membership(name=name, address=address, code=_code(args.code or ""), folder=folder)
    private_dir(member_path().parent)
    hello = entry("hello", {"name": name})
    shown, why = _reached(member, hello)
    end = join(member, [hello])  # so that it is shown among what was sent
    if shown:
        arrived(member, end, {})
    elif folder:
        deliver(member)
    print(f"You joined as {shown or name}{f'; {why}, so entries wait here' if why else ''}.")
    print(_terms())
    if folder:
        print("In a shared folder, who can read the folder can see whose entries they are, predictions included.")
    return 0


def _reached(member: Membership, hello: dict[str, Any]) -> tuple[str, str]:
    """Say hello to a server; the name on its board, or why there is none yet.

    Raises ValueError where the class refuses, so that nothing is remembered of a mistyped code.
    """
    from moe_lessons.outbox.delivery import post

    if member.folder:
        return "", ""
    try:
        answer = post(member, [hello])
    except PermissionError:
        raise ValueError("the class does not know this CODE; type it as the teacher shows it") from None
    except OSError as error:
        return "", str(error)
    if answer.refused:
        raise ValueError(f"the class refused: {next(iter(answer.refused.values()))}")
    return answer.name or member.name, ""


def _name(given: str | None) -> str:
    """The name that was given, or is asked for where somebody sits at a terminal."""
    if given is not None or not sys.stdin.isatty():
        return given or ""
    try:
        return input("Your name on the class's board (Enter for none): ")
    except EOFError:  # Ctrl-D
        print()
        return ""


def _address(text: str) -> str:
    """An address as `http://host:port`; ValueError for any other."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        sound = parts.scheme in ("http", "https") and parts.hostname and not parts.username and not parts.query
        if sound and parts.port != 0:  # which is a ValueError for a port that there is not
            return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/class')}"
    except ValueError:
        pass
    raise ValueError(f"ADDRESS is {text[:60]!r}, but must be like http://192.168.1.5:8870")


def _code(text: str) -> str:
    """A code that a request's header can carry; ValueError for any other."""
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"CODE is {text[:60]!r}, but has plain letters and digits; type it as the teacher shows it")
    return text


def _folder(path: Path) -> str:
    if not path.is_dir():
        raise ValueError(f"DIR is {str(path)!r}, which is no folder; name the one that the teacher shows")
    return str(path.resolve())


def _terms() -> str:
    from moe_lessons.outbox.entries import KINDS

    sent = "\n".join(f"  when {kind.when}" for kind in KINDS.values())
    return (
        f"From now on this machine sends numbers and choices to your teacher's:\n{sent}\n"
        "It never sends code, text, files, or anything from before you joined.\n"
        "moe-lessons join --show prints each field; moe-lessons join --leave ends it."
    )


def _show() -> int:
    from moe_lessons.outbox.membership import membership
    from moe_lessons.outbox.waiting import all_entries, sent

    member = membership()
    if member is None:
        print("This machine has joined no class; nothing is sent.")
        return 0
    where = member.folder or member.address
    print(f"You are {member.name} in the class at {where}.")
    if not member.folder:
        print("With each request go the class's code and a secret by which it tells you from others of your name.")
    done = sent(member)
    for entry, end in all_entries():
        state = "waits" if end > done.offset else "refused" if entry.get("id") in done.refused else "sent"
        print(f"{state:>7}  {json.dumps(entry, ensure_ascii=False)}")
        if state == "refused":
            print(f"{'':7}  {done.refused[entry['id']]}")
    return 0


def _leave() -> int:
    from moe_lessons.outbox.delivery import SECONDS, deliver
    from moe_lessons.outbox.entries import entry
    from moe_lessons.outbox.membership import leave, membership
    from moe_lessons.outbox.waiting import keep, next_batch

    member = membership()
    if member is None:
        print("This machine has joined no class.")
        return 0
    keep(entry("bye", {}))
    try:
        while deliver(member, patience=2 * SECONDS):  # a kernel that is sending now has these for its answer
            pass
    except OSError as error:
        print(f"The class does not hear of it now: {error}.")
    waits = len(next_batch(member).entries)
    leave()
    print("You left; nothing more is sent. What was sent lies on your teacher's machine, without your secret.")
    if waits:
        print("What had not arrived was dropped.")
    return 0
