"""What a class answers: entries from learners; the page, its data and what was sent for the teacher."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

import moe_lessons
from moe_lessons.classroom.accepted import parsed
from moe_lessons.classroom.access import RESOURCE, SEND
from moe_lessons.classroom.classroom import Classroom, TooFast

LARGEST = 64_000  # bytes of a request
PACKAGE = Path(moe_lessons.__file__).parent
# The page takes a few files from the widgets; no other file of this machine is served.
FILES = {
    **{f"classroom/page/{path.name}": path.suffix for path in sorted((PACKAGE / "classroom" / "page").glob("*.*s"))},
    "widgets/shared/common.js": ".js",
    "widgets/shared/language.js": ".js",
    "widgets/prediction_view/rule.js": ".js",
}
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class ClassHandler(JupyterHandler):
    """What all answers share: strict headers, one sentence where something is wrong, and no login page."""

    @property
    def content_security_policy(self) -> str:
        return _POLICY

    @property
    def classroom(self) -> Classroom:
        return self.settings["moe_classroom"]

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")

    async def prepare(self) -> None:  # type: ignore[override]
        await super().prepare(_redirect_to_login=False)

    def say(self, status: int, sentence: str) -> None:
        """Answer with a status and one sentence."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"message": sentence}))

    def write_error(self, status_code: int, **_: Any) -> None:
        words = {403: "the class does not know this code", 404: "there is nothing here"}
        self.say(status_code, words.get(status_code, "this cannot be answered"))


@web.stream_request_body
class EntriesHandler(ClassHandler):
    """POST: a learner's entries. GET: every entry that was taken, for the teacher."""

    async def prepare(self) -> None:
        self._body = bytearray()
        await super().prepare()
        length = self.request.headers.get("Content-Length", "0")
        if not self._finished and self.request.method == "POST" and not (length.isdigit() and int(length) <= LARGEST):
            await self._too_large()

    async def data_received(self, chunk: bytes) -> None:
        self._body += chunk
        if len(self._body) > LARGEST and not self._finished:
            await self._too_large()

    async def _too_large(self) -> None:
        """Say so, and hang up instead of reading on."""
        self._body.clear()
        self.set_header("Connection", "close")
        stream = self.request.connection.stream  # type: ignore[union-attr]
        self.say(413, f"a request has at most {LARGEST:,} bytes")
        with suppress(StreamClosedError, RuntimeError):
            await self.flush()
        stream.close()

    @web.authenticated
    @authorized(action=SEND, resource=RESOURCE)
    async def post(self) -> None:
        if self._finished:
            return
        try:
            sent = parsed(bytes(self._body))
            if not isinstance(sent, dict) or set(sent) != {"learner", "entries"}:
                raise ValueError("a request is a record of learner and entries")
            received = await self.classroom.receive(sent["learner"], sent["entries"])
        except ValueError as error:
            self.say(400, f"{error}.")
        except TooFast as error:
            self.set_header("Retry-After", "5")
            self.say(429, f"{error}.")
        except OSError as error:
            self.set_header("Retry-After", "5")
            self.say(503, f"the class cannot write it down ({error.strerror}).")
        else:
            self.finish(received._asdict())

    @web.authenticated
    @authorized(action="read", resource=RESOURCE)
    async def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self.classroom.entries())


class BoardHandler(ClassHandler):
    """The whole board, for a page without a websocket."""

    @web.authenticated
    @authorized(action="read", resource=RESOURCE)
    async def get(self) -> None:
        self.finish(self.classroom.board())


class LiveHandler(WebSocketMixin, ClassHandler, WebSocketHandler):
    """The board, each time it changes; what comes back is the key of a question whose measurement may be seen."""

    end = staticmethod(lambda: None)

    @web.authenticated
    @authorized(action="read", resource=RESOURCE)
    async def get(self, *args: Any, **kwargs: Any) -> None:
        await WebSocketHandler.get(self, *args, **kwargs)

    async def prepare(self) -> None:
        await JupyterHandler.prepare(self, _redirect_to_login=False)

    def open(self, *args: Any, **kwargs: Any) -> None:
        super().open(*args, **kwargs)
        self.end = self.classroom.watch(self._tell)

    def _tell(self, board: dict[str, Any]) -> None:
        try:
            self.write_message(json.dumps(board))
        except WebSocketClosedError:
            self.end()

    async def on_message(self, message: str | bytes) -> None:
        try:
            asked = parsed(message[:1000])
            if isinstance(asked, dict):
                await self.classroom.show(asked.get("show"))
        except (ValueError, OSError):
            return

    def on_close(self) -> None:
        self.end()


class PageHandler(ClassHandler):
    """The projector's page. A token in its address is exchanged for a cookie, so that no projector shows it."""

    @web.authenticated
    @authorized(action="read", resource=RESOURCE)
    async def get(self) -> None:
        if self.get_argument("token", "") or not self.request.path.endswith("/"):
            self.redirect(f"{self.base_url}class/")
            return
        page = (PACKAGE / "classroom" / "page" / "index.html").read_text(encoding="utf-8")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page)


class JoinLineHandler(ClassHandler):
    """What learners type, for the page that shows it."""

    @web.authenticated
    @authorized(action="read", resource=RESOURCE)
    async def get(self) -> None:
        self.finish({"line": self.settings["moe_class_join"]})


class FileHandler(ClassHandler):
    """A file of the page: one of a list, so that no address leads anywhere else."""

    @web.authenticated
    @authorized(action="read", resource=RESOURCE)
    async def get(self, name: str) -> None:
        if name not in FILES:
            raise web.HTTPError(404)
        self.set_header("Content-Type", f"{_TYPES[FILES[name]]}; charset=utf-8")
        self.finish((PACKAGE / name).read_bytes())


HANDLERS = [
    (r"/class/entries", EntriesHandler),
    (r"/class/board", BoardHandler),
    (r"/class/live", LiveHandler),
    (r"/class/line", JoinLineHandler),
    (r"/class/files/(.*)", FileHandler),
    (r"/class/?", PageHandler),
]
