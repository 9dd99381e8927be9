"""A server for the built site, on this machine alone."""

import functools
import gzip
import http.server
import io
from http import HTTPStatus
from pathlib import Path
from typing import Any

_TEXTS = {".html", ".css", ".js", ".json", ".svg"}  # what any web server packs on its way
_KINDS = {".js": "text/javascript", ".json": "application/json", ".safetensors": "application/octet-stream"}


@functools.lru_cache(maxsize=256)
def _packed(path: Path, modified: int) -> bytes:
    return gzip.compress(path.read_bytes(), 6)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files as any web server gives them; JavaScript under its own name, whatever this machine's tables say."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, **_KINDS}
    protocol_version = "HTTP/1.1"

    def send_head(self) -> Any:
        """A text is packed where the browser takes it so, as on a public server."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() and self.path.split("?")[0].endswith("/") else path
        takes = "gzip" in self.headers.get("Accept-Encoding", "")
        if not takes or path.suffix not in _TEXTS or not path.is_file():
            return super().send_head()
        body = _packed(path, path.stat().st_mtime_ns)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{self.guess_type(path)}; charset=utf-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

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
