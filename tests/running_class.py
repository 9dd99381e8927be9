"""A class that runs in a process of its own, as a teacher starts it, and how to talk to it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

SECONDS = 120.0  # for a start, on a machine that is busy with other things


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def entry(kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": uuid.uuid4().hex, "kind": kind, "time": 1.8e9, **fields}


class RunningClass:
    """The process, and how to talk to it."""

    def __init__(self, cache: Path, *options: str, port: int = 0) -> None:
        self.port = port or free_port()
        command = [sys.executable, "-m", "moe_lessons", "class", "--no-browser", "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, "MOE_LESSONS_CACHE": str(cache), "JUPYTER_RUNTIME_DIR": str(cache / "runtime")},
        )
        late = threading.Timer(SECONDS, self.process.kill)
        late.start()
        self.said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if "loses nothing" in line:
                break
        late.cancel()
        keys = json.loads((cache / "classroom" / "class.json").read_text(encoding="utf-8"))
        self.code, self.token = keys["code"], keys["token"]
        self.address = f"http://127.0.0.1:{self.port}"
        self._until_it_answers()

    def _until_it_answers(self) -> None:
        for _ in range(600):
            try:
                self.ask("GET", "/")
                return
            except OSError:
                assert self.process.poll() is None, self.said
                threading.Event().wait(0.1)

    def ask(
        self, method: str, path: str, token: str = "", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Authorization": f"token {token}"} if token else {}
        connection.request(method, path, body, {**sent, **headers})
        answer = connection.getresponse()
        try:
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def board(self) -> dict[str, Any]:
        return json.loads(self.ask("GET", "/class/board", self.token)[2])

    def journal(self) -> list[dict[str, Any]]:
        lines = self.ask("GET", "/class/entries", self.token)[2].splitlines()
        return [json.loads(line) for line in lines]

    def send(self, secret: str, *entries: Any) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"learner": secret, "entries": list(entries)}).encode()
        status, _, answer = self.ask("POST", "/class/entries", self.code, body)
        return status, json.loads(answer)

    def kill(self) -> None:
        """As a laptop that loses its power ends it."""
        self.process.kill()
        self.process.wait(30)
        if self.process.stdout:
            self.process.stdout.close()
