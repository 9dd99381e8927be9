"""A server for the built site, on this machine alone."""

import functools
import http.server
from pathlib import Path
from typing import Any

_KINDS = {".js": "text/javascript", ".json": "application/json", ".safetensors": "application/octet-stream"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files as any web server gives them; JavaScript under its own name, whatever this machine's tables say."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **_KINDS}
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a projector's terminal is no log."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # asked again each time, so that a rebuilt site is seen
        super().end_headers()


def server(site: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of the folder on 127.0.0.1; port 0 takes a free one.

    Raises ValueError where the folder holds no site, OSError where the port is taken.
    """
    if not (site / "index.html").exists():
        raise ValueError(f"{site} holds no site; build it with make site, or name its folder: moe-lessons site DIR")
    if not 0 <= port <= 65535:
        raise ValueError(f"port is {port}, but must be 0 to 65535; 0 takes a free one")
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(site)))
