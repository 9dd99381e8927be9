"""The sender: at once, again and again with more patience, and never in anybody's way."""

import threading
import time

import pytest

from moe_lessons.outbox import sender, tell
from moe_lessons.outbox.delivery import Busy
from moe_lessons.outbox.membership import Membership, join
from moe_lessons.outbox.sender import LONGEST, Sender
from moe_lessons.outbox.waiting import all_entries

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def member(cache, tmp_path):
    made = Membership(name="Ada", folder=str(tmp_path))
    join(made)
    return made


def test_what_is_told_arrives_by_itself(member, tmp_path):
    file = tmp_path / f"{member.learner}.jsonl"
    tell("bye")
    for _ in range(600):
        if file.exists() and file.read_bytes().endswith(b"\n"):
            return
        time.sleep(0.05)
    pytest.fail("nothing arrived within thirty seconds")


def test_patience_grows_up_to_a_limit_and_a_success_ends_it(member, monkeypatch):
    answers = []
    monkeypatch.setattr(sender, "deliver", lambda _: answers.pop(0)())

    def fails():
        raise OSError("no network")

    def busy():
        raise Busy(7)

    own, waits = Sender(), [0.0]
    for _ in range(40):
        answers[:] = [fails]
        waits.append(own._try_all(waits[-1]))
    assert all(0 < wait <= LONGEST for wait in waits[1:]) and waits[1] <= 0.5 and min(waits[-20:]) >= 0.7 * LONGEST
    answers[:] = [busy]
    assert own._try_all(waits[-1]) == 7
    answers[:] = [lambda: 3, lambda: 0]
    assert own._try_all(waits[-1]) == 0.0


def test_a_class_that_never_answers_holds_up_no_lesson(member, monkeypatch):
    asked, release, answers = threading.Event(), threading.Event(), []

    def deliver(_):
        asked.set()
        answers.append(release.wait(300))
        return 0

    monkeypatch.setattr(sender, "deliver", deliver)
    before = len(all_entries())
    for _ in range(20):
        tell("bye")
    written = len(all_entries()) - before
    assert asked.wait(60) and answers == [] and written == 20  # all of them told while the first one is waited for
    release.set()
