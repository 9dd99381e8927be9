"""What a running class answers: over HTTP, to a teacher, to learners, to strangers and to worse."""

import json
import re
import socket

import pytest
from running_class import entry

from moe_lessons.classroom import handlers
from moe_lessons.outbox.membership import learner_id

PATHS = ("/class/", "/class", "/class/board", "/class/entries", "/class/line", "/class/live")
FILES = ("/class/files/classroom/page/board.js", "/class/files/widgets/shared/common.js")
CLASSICS = (
    "/api",
    "/api/kernels",
    "/api/contents",
    "/api/terminals",
    "/metrics",
    "/login",
    "/files/x",
    "/lab",
    "/tree",
)


@pytest.mark.parametrize("token", ["", "wrong", "?", "é"])
def test_a_stranger_gets_one_sentence_and_nothing_else(running, token):
    quoted = token.encode().decode("latin-1")
    for path in (*PATHS, *FILES):
        status, headers, body = running.ask("GET", path, quoted)
        assert status == 403 and json.loads(body) == {"message": "the class does not know this code"}
        assert "Set-Cookie" not in headers
    assert running.ask("POST", "/class/entries", quoted, b"{}")[0] == 403


def test_a_learners_code_sends_and_opens_nothing(running, secret):
    assert running.send(secret, entry("hello", name="Sender"))[0] == 200
    for path in (*PATHS, *FILES):
        status, headers, _ = running.ask("GET", path, running.code)
        assert status == 403 and "Set-Cookie" not in headers


def test_the_code_is_known_as_people_type_it(running, secret):
    body = json.dumps({"learner": secret, "entries": [entry("bye")]}).encode()
    typed = running.code.replace("-", "").upper()
    assert running.ask("POST", "/class/entries", typed, body)[0] == 200


@pytest.mark.parametrize("path", CLASSICS)
def test_no_kernel_file_or_terminal_can_be_reached_even_by_the_teacher(running, path):
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert running.ask(method, path, running.token, b"{}")[0] == 404


def test_the_token_in_an_address_becomes_a_cookie_so_that_no_projector_shows_it(running):
    status, headers, _ = running.ask("GET", f"/class/?token={running.token}")
    assert status == 302 and headers["Location"] == "/class/"
    cookie = headers["Set-Cookie"].partition(";")
    assert "HttpOnly" in cookie[2] and "SameSite=Lax" in cookie[2]
    status, headers, body = running.ask("GET", "/class/", Cookie=cookie[0])
    assert status == 200 and b"board.js" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"] and "unsafe" not in str(headers)
    assert running.ask("GET", "/class/entries", Cookie=cookie[0][:-9] + 'aaaaaaaa"')[0] == 403


@pytest.mark.parametrize(
    "name", ["keys.py", "../keys.py", "classroom/keys.py", "classroom/page/../keys.py", "%2e%2e/x"]
)
def test_no_address_leads_to_another_file(running, name):
    assert running.ask("GET", f"/class/files/{name}", running.token)[0] == 404


def test_what_is_sent_is_counted_once_however_often_it_is_sent(running, secret):
    hello, check = entry("hello", name="Twice"), entry("check", exercise="05.mixture", passed=1, mistake=-1)
    for _ in range(3):
        assert running.send(secret, hello, check, check) == (200, {"refused": {}, "name": "Twice"})
    own = [line for line in running.journal() if line["who"] == learner_id(secret)]
    assert [line["entry"] for line in own] == [hello, check]
    row = next(row for row in running.board()["lessons"][-1]["rows"] if row["name"] == "Twice")
    assert row["marks"][0] == 2


def test_who_predicted_is_not_to_be_found_in_what_is_kept(running, secret):
    made = [entry("prediction", key=key, answer=1, sure=0, late=0) for key in ("05.one_sheet", "05.vanes_that_change")]
    made.append(entry("measured", key="05.two_of_six", place=1.4))
    running.send(secret, entry("hello", name="Voter"), *made)
    lines = {line["entry"]["id"]: line for line in running.journal()}
    voters = [lines[one["id"]]["who"] for one in made]
    assert len({*voters, learner_id(secret)}) == 4
    assert secret not in json.dumps(list(lines.values()))
    question = next(one for one in running.board()["questions"] if one["key"] == "05.one_sheet")
    assert "Voter" not in json.dumps(question) and voters[0] not in json.dumps(running.board())


def test_two_of_one_name_are_told_apart(running, secret):
    names = [running.send(f"{secret[:-1]}{i}", entry("hello", name="Same"))[1]["name"] for i in range(3)]
    assert names == ["Same", "Same (2)", "Same (3)"]


HOSTILE = [
    entry("hello", name="<script>alert(1)</script>"),
    entry("hello", name="\u202eevil"),
    entry("prediction", key="05.of_another_course", answer=1, sure=0, late=0),
    entry("prediction", key="05.one_sheet", answer=99, sure=0, late=0),
    entry("prediction", key="05.one_sheet", answer="1", sure=0, late=0),
    entry("prediction", key="../../etc/passwd", answer=1, sure=0, late=0),
    entry("measured", key="05.starved_borders", place=7),
    entry("measured", key="05.of_another_course", place=1),
    entry("check", exercise="05.no_such", passed=1, mistake=-1),
    entry("check", exercise="05.mixture", passed=0, mistake=99),
    entry("check", exercise="05.mixture", passed=1, mistake=-1, code="import os"),
    entry("ledger", claim="token-is-a-word", lesson="07", value=1),
    entry("verdict", claim="token-is-a-word", word=4),
    entry("wipe"),
    {"id": "<script>", "kind": "bye", "time": 1.8e9},
    ["hello"],
    None,
    7,
]


@pytest.mark.parametrize("made", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_entry_is_one_sentence_and_changes_nothing(running, secret, made):
    before = running.journal()
    status, answer = running.send(secret, made)
    (sentence,) = answer["refused"].values()
    assert status == 200 and sentence.endswith(".") and 10 < len(sentence) < 200
    assert "script" not in json.dumps(answer) and "passwd" not in json.dumps(answer)
    assert running.journal() == before


ONE = '{"learner": "%s", "entries": [{"id": "%s", "kind": "ledger", "time": 1.8e9, "claim": "token-is-a-word", '
MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"learner": "x", "entries": []}',
    b'{"learner": 5, "entries": [{}]}',
    b"[" * 50_000,
    (ONE % ("0" * 32, "1" * 32) + '"lesson": "01", "value": NaN}]}').encode(),
    (ONE % ("0" * 32, "1" * 32) + '"lesson": "01", "value": -Infinity}]}').encode(),
    (ONE % ("0" * 32, "1" * 32) + '"lesson": "01", "value": ' + "9" * 9000 + "}]}").encode(),
    json.dumps({"learner": "0" * 32, "entries": [entry("bye")] * 51}).encode(),
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_request_is_one_sentence_and_changes_nothing(running, body):
    before = running.journal()
    status, _, answer = running.ask("POST", "/class/entries", running.code, body)
    assert status == 400 and 10 < len(json.loads(answer)["message"]) < 200
    assert running.journal() == before


def post_slowly(running, head: str, size: int) -> tuple[bytes, int]:
    """Send a large body piece by piece until the class hangs up; what it said, and how much it took."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as line:
        first = (
            "POST /class/entries HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: token {running.code}",
            head,
            "",
            "",
        )
        line.sendall("\r\n".join(first).encode())
        took = 0
        try:
            while took < size:
                line.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n" if "chunked" in head else b"x" * 65536)
                took += 65536
        except OSError:
            pass
        said = b""
        try:
            while part := line.recv(65536):
                said += part
        except OSError:
            pass
    return said, took


@pytest.mark.parametrize("head", ["Content-Length: 10000000", "Transfer-Encoding: chunked"])
def test_ten_megabytes_are_refused_in_a_sentence_before_they_are_read(running, head):
    before = running.journal()
    said, took = post_slowly(running, head, 10_000_000)
    assert said.startswith(b"HTTP/1.1 413") and b"a request has at most 64,000 bytes" in said
    assert took < 10_000_000
    assert running.journal() == before


def test_who_sends_without_end_is_asked_to_wait_and_others_are_not(running, secret):
    seen = []
    while 429 not in seen and len(seen) < 1000:
        seen.append(running.send(secret, entry("bye"))[0])
    assert seen[:20] == [200] * 20 and seen[-1] == 429
    assert running.send(secret[::-1], entry("bye"))[0] == 200


def test_a_page_of_another_site_cannot_look_on(running):
    opening = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    opening |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://evil.example"}
    cookie = running.ask("GET", f"/class/?token={running.token}")[1]["Set-Cookie"].partition(";")[0]
    assert running.ask("GET", "/class/live", Cookie=cookie, **opening)[0] == 403


def test_whatever_a_served_script_imports_is_served():
    scripts = {
        name: (handlers.PACKAGE / name).read_text(encoding="utf-8")
        for name, kind in handlers.FILES.items()
        if kind == ".js"
    }
    wanted = {
        (handlers.PACKAGE / name).parent.joinpath(path).resolve().relative_to(handlers.PACKAGE.resolve()).as_posix()
        for name, script in scripts.items()
        for path in re.findall(r'^import .* from "(.*)";$', script, re.MULTILINE)
    }
    assert "widgets/shared/common.js" in wanted and wanted <= set(handlers.FILES)
