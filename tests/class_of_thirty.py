"""Thirty simulated learners on this machine, through what befalls a class: what is lost, how long the board takes.

python tests/class_of_thirty.py     # two minutes; prints its figures as JSON

Each learner has a cache folder, an outbox and a sender of its own, as in a notebook's kernel; all of them are threads
of this process. While they work, the teacher's process is killed and started again, and one learner's network goes for
a minute.
"""

import contextlib
import json
import os
import platform
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from full_room import EXERCISES, answer, found
from running_class import RunningClass, free_port

from moe_lessons.outbox import place as outbox_place
from moe_lessons.outbox.entries import entry
from moe_lessons.outbox.membership import Membership, join
from moe_lessons.outbox.sender import Sender
from moe_lessons.outbox.waiting import all_entries, keep, sent
from moe_lessons.predictions.question import questions_of

LEARNERS, SECONDS = 30, 75.0
KILLED, AWAY = 15.0, (10.0, 70.0)  # seconds after the beginning
HERE = threading.local()  # each thread's cache folder
outbox_place.cache_dir = lambda: HERE.folder


class Cable:
    """One learner's network: a port that passes on to the class, and can be pulled."""

    def __init__(self, target: int) -> None:
        self.port, self._target, self._in = free_port(), target, threading.Event()
        self._in.set()
        threading.Thread(target=self._serve, daemon=True).start()

    def pull(self) -> None:
        self._in.clear()

    def plug(self) -> None:
        self._in.set()

    def _serve(self) -> None:
        while True:
            self._in.wait()
            with socket.create_server(("127.0.0.1", self.port), reuse_port=False) as door:
                door.settimeout(0.1)
                while self._in.is_set():
                    with contextlib.suppress(TimeoutError):
                        self._pass_on(door.accept()[0])

    def _pass_on(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target), 5) as far:
            with selectors.DefaultSelector() as ready:
                ready.register(near, selectors.EVENT_READ, far)
                ready.register(far, selectors.EVENT_READ, near)
                until = time.monotonic() + 10
                while self._in.is_set() and time.monotonic() < until:
                    for key, _ in ready.select(0.2):
                        part = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not part:
                            return
                        key.data.sendall(part)


class Learner(Sender):
    """A sender with a place of its own, and somebody who works."""

    def __init__(self, number: int, folder: Path, address: str, code: str) -> None:
        super().__init__()
        self.folder, self.draw = folder, random.Random(number)
        self.member = Membership(name="Ada" if number < 2 else f"Learner {number}", address=address, code=code)
        self.paid: list[float] = []  # seconds that a lesson waited for each entry
        self.worker = threading.Thread(target=self._work, daemon=True)

    def run(self) -> None:
        HERE.folder = self.folder
        super().run()

    def _work(self) -> None:
        HERE.folder = self.folder
        join(self.member)
        self.start()
        acts: list[tuple[str, dict[str, Any]]] = [("hello", {"name": self.member.name})]
        for key, one in list(questions_of("05").items())[:8]:
            acts.append(("prediction", {"key": key, "answer": answer(one, self.draw), "sure": 0, "late": 0}))
            acts.append(("measured", {"key": key, "place": found(one, self.draw)}))
        for name in EXERCISES:
            acts += [("check", {"exercise": name, "passed": 0, "mistake": 0})]
            acts += [("check", {"exercise": name, "passed": 1, "mistake": -1})]
        acts.append(("ledger", {"claim": "more-compute-wins", "lesson": "12", "value": self.draw.gauss(0.12, 0.01)}))
        for kind, fields in acts:
            begin = time.perf_counter()
            keep(entry(kind, fields))
            self.wake()
            self.paid.append(time.perf_counter() - begin)
            time.sleep(self.draw.uniform(0.6, 1.4) * SECONDS / len(acts))

    def told(self) -> list[dict[str, Any]]:
        HERE.folder = self.folder
        return [made for made, _ in all_entries()]

    def waits(self) -> int:
        HERE.folder = self.folder
        done = sent(self.member).offset
        return sum(end > done for _, end in all_entries())


def commands_of_a_room(running: RunningClass, folder: Path, times: int = 3) -> list[float]:
    """Seconds of one learner's one command, `moe-lessons join`, in a process of its own."""
    taken = []
    for each in range(times):
        begin = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "moe_lessons",
            "join",
            running.address,
            running.code,
            "--name",
            f"Typed {each}",
        ]
        env = {**os.environ, "MOE_LESSONS_CACHE": str(folder / f"typed{each}")}
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=300)
        taken.append(round(time.perf_counter() - begin, 2))
    return taken


def look(running: list[RunningClass], taken: list[float], end: threading.Event) -> None:
    """Ask for the board twice a second, and note how long it takes while the class is there."""
    while not end.wait(0.5):
        begin = time.perf_counter()
        with contextlib.suppress(OSError, ValueError):
            running[-1].board()
            taken.append(time.perf_counter() - begin)


def main() -> None:
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own)
        begin = time.perf_counter()
        first = RunningClass(folder / "teacher")
        opened = time.perf_counter() - begin
        typed = commands_of_a_room(first, folder)
        cable = Cable(first.port)
        away = f"http://127.0.0.1:{cable.port}"
        room = [
            Learner(n, folder / f"learner{n}", away if n == 7 else first.address, first.code) for n in range(LEARNERS)
        ]
        classes, taken, end = [first], [], threading.Event()
        threading.Thread(target=look, args=(classes, taken, end), daemon=True).start()
        clock = time.perf_counter()
        for learner in room:
            learner.worker.start()

        def until(moment: float) -> None:
            time.sleep(max(0.0, clock + moment - time.perf_counter()))

        until(AWAY[0])
        cable.pull()
        until(KILLED)
        classes[-1].kill()
        dead = time.perf_counter()
        classes.append(RunningClass(folder / "teacher", port=first.port))
        dead = time.perf_counter() - dead
        until(AWAY[1])
        cable.plug()
        for learner in room:
            learner.worker.join(300)
        last = time.perf_counter()
        while any(learner.waits() for learner in room) and time.perf_counter() - last < 120:
            time.sleep(0.2)
        emptied = time.perf_counter() - last
        end.set()
        print(json.dumps(figures(classes[-1], room, taken) | {
            "seconds_to_open_the_class": round(opened, 2), "seconds_of_each_typed_join": typed,
            "seconds_the_class_was_dead": round(dead, 2), "seconds_until_every_outbox_was_empty": round(emptied, 2),
            "processors": os.cpu_count(), "load_average": os.getloadavg()[0], "python": platform.python_version(),
        }, indent=1))  # fmt: skip
        classes[-1].kill()


def figures(running: RunningClass, room: list[Learner], taken: list[float]) -> dict[str, Any]:
    """What arrived, against what was told; and the times."""
    counted = Counter(line["entry"]["id"] for line in running.journal())
    told = [made["id"] for learner in room for made in learner.told()]
    board = running.board()
    before = running.journal()
    stranger = [running.ask("GET", path, "no-token")[0] for path in ("/class/", "/class/board", "/class/entries")]
    hostile = running.send(uuid.uuid4().hex, {"id": "<script>"}, entry("bye", {}) | {"x": 1}, None)[1]["refused"]
    paid = [each for learner in room for each in learner.paid]
    return {
        "learners": LEARNERS,
        "entries_told": len(told),
        "entries_lost": sum(counted[each] == 0 for each in told),
        "entries_counted_twice": sum(counted[each] > 1 for each in told),
        "predictions_on_the_board": sum(one["answered"] for one in board["questions"]),
        "predictions_told": sum(made["kind"] == "prediction" for learner in room for made in learner.told()),
        "names": [name for name in board["learners"] if name.startswith("Ada")],
        "a_stranger_gets": stranger,
        "hostile_entries_are_told": list(hostile.values()),
        "hostile_entries_change": len(running.journal()) - len(before),
        "board_asked": len(taken),
        "board_seconds_median": round(median(taken), 4),
        "board_seconds_95th": round(quantiles(taken, n=20)[-1], 4),
        "a_lesson_waits_seconds_median": round(median(paid), 5),
        "a_lesson_waits_seconds_most": round(max(paid), 4),
    }


if __name__ == "__main__":
    main()
