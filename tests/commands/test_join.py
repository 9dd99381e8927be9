"""`moe-lessons join`: one command to join, one to see every field, one to leave."""

import json
import threading
import time

import pytest

from moe_lessons import cli
from moe_lessons.outbox import membership as outbox_membership
from moe_lessons.outbox.delivery import Answer
from moe_lessons.outbox.entries import KINDS, entry
from moe_lessons.outbox.membership import Membership, membership
from moe_lessons.outbox.place import class_dir
from moe_lessons.outbox.waiting import keep, next_batch
from moe_lessons.records import acquire

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def shared(tmp_path):
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


def say(capsys, *words: str) -> str:
    assert cli.main(["join", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_joining_says_what_will_be_sent_and_what_never(shared, capsys):
    said = say(capsys, "--folder", shared, "--name", "Ada <b>")
    assert "You joined as Ada b." in said and "never sends code, text" in said
    assert all(kind.when in said for kind in KINDS.values())
    assert "who can read the folder can see whose entries they are" in said


def test_each_field_that_was_sent_is_shown_and_leaving_ends_it(shared, capsys):
    assert "has joined no class" in say(capsys, "--show")
    say(capsys, "--folder", shared, "--name", "Ada")
    member = membership()
    assert isinstance(member, Membership)
    (file,) = shared.iterdir()
    (sent,) = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert sent["name"] == "Ada" and f"   sent  {json.dumps(sent)}" in say(capsys, "--show")
    assert "You left" in say(capsys, "--leave") and membership() is None
    kinds = [json.loads(line)["kind"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert kinds == ["hello", "bye"] and "joined no class" in say(capsys, "--leave")


def test_a_class_that_cannot_be_reached_is_joined_and_entries_wait(capsys):
    said = say(capsys, "http://127.0.0.1:9/class", "k3f9-7wpx", "--name", "Ada")
    assert "You joined as Ada; http://127.0.0.1:9 cannot be reached" in said
    assert "  waits  " in say(capsys, "--show")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give ADDRESS and CODE"),
        (["http://127.0.0.1:9"], "give ADDRESS and CODE"),
        (["--show", "--leave"], "give ADDRESS and CODE"),
        (["file:///etc/passwd", "code"], "must be like http://"),
        (["http://user:word@host", "code"], "must be like http://"),
        (["http://127.0.0.1:99999999", "code"], "must be like http://"),
        (["http://127.0.0.1:abc", "code"], "must be like http://"),
        (["http://[::1", "code"], "must be like http://"),
        (["http://127.0.0.1:9", "cöde"], "type it as the teacher shows it"),
        (["http://127.0.0.1:9", "co\nde"], "type it as the teacher shows it"),
        (["--folder", "/no/such/folder"], "which is no folder"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_joins_nothing(words, sentence, capsys):
    assert cli.main(["join", *words]) == 1
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and membership() is None


def test_who_presses_ctrl_d_at_the_name_joins_without_one(shared, capsys, monkeypatch):
    def ends(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ends)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert "You joined as Guest." in say(capsys, "--folder", shared)


def test_who_leaves_while_a_kernel_sends_waits_for_it_and_the_class_hears_of_it(shared, capsys):
    say(capsys, "--folder", shared, "--name", "Ada")
    (file,) = shared.iterdir()
    locked = threading.Event()

    def kernel() -> None:
        with (class_dir() / ".sending.lock").open("ab") as lock:
            acquire(lock.fileno(), patience=0)
            locked.set()
            time.sleep(0.3)

    sending = threading.Thread(target=kernel)
    sending.start()
    assert locked.wait(60)
    said = say(capsys, "--leave")
    sending.join()
    assert "does not hear" not in said and "dropped" not in said
    assert [json.loads(line)["kind"] for line in file.read_text(encoding="utf-8").splitlines()] == ["hello", "bye"]


def test_what_another_kernel_tells_while_one_joins_is_not_taken_for_sent(capsys, monkeypatch):
    told, join = entry("bye", {}), outbox_membership.join

    def joined_and_told(*arguments) -> int:
        end = join(*arguments)
        keep(told)
        return end

    monkeypatch.setattr(outbox_membership, "join", joined_and_told)
    monkeypatch.setattr("moe_lessons.outbox.delivery.post", lambda *_: Answer({}, "Ada"))
    assert "You joined as Ada." in say(capsys, "http://127.0.0.1:9", "code", "--name", "Ada")
    member = membership()
    assert member and next_batch(member).entries == [told]
