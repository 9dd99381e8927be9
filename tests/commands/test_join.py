"""`moe-lessons join`: one command to join, one to see every field, one to leave."""

import json

import pytest

from moe_lessons import cli
from moe_lessons.outbox.entries import KINDS
from moe_lessons.outbox.membership import Membership, membership

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
        (["--folder", "/no/such/folder"], "which is no folder"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_joins_nothing(words, sentence, capsys):
    assert cli.main(["join", *words]) == 1
    said = capsys.readouterr()
    assert sentence in said.err and said.err.count("\n") == 1 and membership() is None
