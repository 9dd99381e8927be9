"""`moe-lessons site`: show the built site on this machine."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder and the port."""
    parser.add_argument("folder", type=Path, metavar="DIR", nargs="?", default=Path("site"), help="default: site")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 takes a free one")


def run(args: argparse.Namespace) -> int:
    """Serve the folder until Ctrl-C."""
    from moe_lessons.site.serve import server

    try:
        serving = server(args.folder, args.port)
    except OSError as error:
        raise OSError(f"port {args.port} cannot be used ({error.strerror}); try another: --port 0") from None
    with serving:
        print(f"http://127.0.0.1:{serving.server_port}/ shows {args.folder}; Ctrl-C here stops it.", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
