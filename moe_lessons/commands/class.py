"""`moe-lessons class`: receive what the room sends, and show it on the projector."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen, and what to begin with."""
    parser.add_argument(
        "--ip", default="127.0.0.1", help="0.0.0.0 lets others in this network join; default: this machine alone"
    )
    parser.add_argument("--port", type=int, default=8870, help="default: 8870")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="read a shared folder that learners write into")
    parser.add_argument("--new", action="store_true", help="begin a new class; the last one's entries are kept aside")
    parser.add_argument("--no-browser", action="store_true", help="open no page here")


def run(args: argparse.Namespace) -> int:
    """Serve the class until Ctrl-C. One that was stopped, or killed, goes on where it was."""
    from moe_lessons.classroom.address import reachable, taken

    if not 1 <= args.port <= 65535:
        raise ValueError(f"port is {args.port}, but must be 1 to 65535")
    if args.folder is not None and not args.folder.is_dir():
        raise ValueError(f"DIR is {str(args.folder)!r}, which is no folder; name one that every learner can write to")
    if taken(args.ip, args.port):
        raise ValueError(f"{args.ip}, port {args.port}, cannot be used; is a class open already? Or try --port 8871")
    from moe_lessons.classroom.keys import classroom_dir, keys, set_aside
    from moe_lessons.classroom.server import class_server

    folder = classroom_dir()
    aside = set_aside(folder) if args.new else None
    own = keys(folder)
    shared = args.folder.resolve() if args.folder else None
    server = class_server(folder, own, ip=args.ip, port=args.port, shared=shared, browser=not args.no_browser)
    here = f"http://{'127.0.0.1' if args.ip in ('0.0.0.0', '::', '*') else reachable(args.ip)}:{args.port}/class"
    if aside:
        print(f"The last class lies in {aside}")
    if shared:
        print(f"Learners join by   moe-lessons join --folder {shared}")
    else:
        print(f"Learners join by   moe-lessons join http://{reachable(args.ip)}:{args.port} {own.code}")
        if args.ip.startswith("127."):
            print("                   from this machine alone; for the room: moe-lessons class --ip 0.0.0.0")
    print(f"The projector's    {here}/?token={own.token}")
    print(f"All that was sent  {here}/entries?token={own.token}")
    print(
        "Keep the last two to yourself: they open everything. Ctrl-C here stops the class; it loses nothing.",
        flush=True,
    )
    server.start()
    return 0
