"""A delivery to whatever may answer at an address: a class, a busy one, another one, or something that is none."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from moe_lessons.outbox.delivery import SOONEST, Answer, Busy, post
from moe_lessons.outbox.entries import entry
from moe_lessons.outbox.membership import Membership

HELLO = entry("hello", {"name": "Ada"})


@pytest.fixture
def answering():
    """A server that says what a test tells it to, and remembers what it was asked."""
    servers = []

    def begin(status: int, body: bytes, **headers: str):
        class Handler(BaseHTTPRequestHandler):
            asked: list[tuple[str, dict[str, str], bytes]] = []

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                self.asked.append((self.path, dict(self.headers), sent))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        member = Membership(name="Ada", address=f"http://127.0.0.1:{server.server_port}", code="k3f9-7wpx")
        return member, Handler.asked

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def test_entries_go_with_the_code_and_the_secret_to_the_one_address(answering, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy for the wide world knows no classroom
    member, asked = answering(200, b'{"refused": {}, "name": "Ada (2)"}')
    assert post(member, [HELLO]) == Answer({}, "Ada (2)")
    ((path, headers, body),) = asked
    assert path == "/class/entries" and headers["Authorization"] == "token k3f9-7wpx"
    assert json.loads(body) == {"learner": member.secret, "entries": [HELLO]}


def test_a_redirection_is_not_followed_so_that_no_other_address_learns_the_code(answering):
    _, elsewhere = other = answering(200, b"{}")
    member, _ = answering(302, b"", Location=f"{other[0].address}/class/entries")
    with pytest.raises(OSError, match="no class answers"):
        post(member, [HELLO])
    assert elsewhere == []


def test_another_class_s_code_is_said(answering):
    with pytest.raises(PermissionError, match="does not know this code"):
        post(answering(403, b"{}")[0], [HELLO])


@pytest.mark.parametrize(
    ("status", "asked", "seconds"),
    [(429, "7", 7), (503, "9999", 60), (503, "soon", 5), (429, "-1", 5), (503, "0", SOONEST), (503, "²", 5)],
)
def test_a_busy_class_is_left_alone_as_long_as_it_asks_but_never_for_good(answering, status, asked, seconds):
    with pytest.raises(Busy) as error:
        post(answering(status, b"", Retry_After=asked)[0], [HELLO])
    assert error.value.seconds == seconds


def test_what_no_class_can_read_is_not_sent_again(answering):
    assert post(answering(400, b"{}")[0], [HELLO]).refused == {HELLO["id"]: "the class could not read it"}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"5", b'{"refused": 5, "name": ""}', b'{"name": "x"}', b"\xff"]
)
def test_what_is_no_class_is_said_to_be_none(answering, body):
    with pytest.raises(OSError, match="is no class"):
        post(answering(200, body)[0], [HELLO])


def test_what_a_class_says_cannot_command_a_terminal(answering):
    said = json.dumps({"refused": {HELLO["id"]: "\x1b[2J" + "x" * 999}, "name": "\x1b]0;Ada\x07"}).encode()
    answer = post(answering(200, said)[0], [HELLO])
    assert answer.name == "]0;Ada" and len(answer.refused[HELLO["id"]]) < 301 and "\x1b" not in str(answer)


def test_nobody_there_is_one_sentence():
    with pytest.raises(OSError, match="http://127.0.0.1:9 cannot be reached"):
        post(Membership(name="Ada", address="http://127.0.0.1:9", code="x"), [HELLO])
