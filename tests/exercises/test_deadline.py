"""A loop without end is stopped, with alarms and without."""

import contextlib
import threading
import time

import pytest

from moe_lessons.exercises import checking as checking_module
from moe_lessons.exercises import deadline as deadline_module
from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine

pytestmark = pytest.mark.usefixtures("cache")


def test_a_loop_without_end_is_stopped_and_named(monkeypatch):
    def attempt(ids, pair, new_id):
        while True:
            with contextlib.suppress(Exception):
                new_id += 1

    monkeypatch.setattr(checking_module, "SECONDS", 0.3)
    text = examine("01.merge", attempt).line
    assert "did not finish within 0.3 seconds and was stopped in line" in text and "does every loop" in text


@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_a_loop_without_end_is_stopped_without_alarms_too(where, monkeypatch):
    def attempt(ids, pair, new_id):
        while True:
            with contextlib.suppress(Exception):
                new_id += 1

    monkeypatch.setattr(checking_module, "SECONDS", 0.3)
    monkeypatch.delattr(deadline_module.signal, "SIGALRM", raising=False)
    lines = []
    if where == "main thread":
        lines.append(examine("01.merge", attempt).line)
    else:
        thread = threading.Thread(target=lambda: lines.append(examine("01.merge", attempt).line))
        thread.start()
        thread.join(60)
    assert "did not finish within 0.3 seconds and was stopped in line" in lines[0]


def test_what_ends_in_time_is_left_alone_without_alarms(monkeypatch):
    monkeypatch.delattr(deadline_module.signal, "SIGALRM", raising=False)
    monkeypatch.setattr(checking_module, "SECONDS", 0.2)
    for _ in range(3):
        assert examine("01.merge", find("01.merge").reference).state == "correct"
    time.sleep(0.4)  # a watchdog that is still waiting would bite here
    assert threading.active_count() < 20


def test_one_long_call_that_cannot_be_stopped_is_reported(monkeypatch, capsys):
    monkeypatch.delattr(deadline_module.signal, "SIGALRM", raising=False)
    with pytest.raises(deadline_module.OutOfTime), deadline_module.deadline(0.1):
        time.sleep(0.5)
        sum(range(1000))
    assert "cannot be stopped from here; interrupt the kernel" in capsys.readouterr().err
