"""The outbox: what is told is on the disk first, sent in order and once, and free for who joined nothing."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from moe_lessons.outbox import tell
from moe_lessons.outbox.delivery import deliver
from moe_lessons.outbox.entries import entry
from moe_lessons.outbox.membership import Membership, join, learner_id, leave, membership, voter_id
from moe_lessons.outbox.place import class_dir, member_path, outbox_path
from moe_lessons.outbox.waiting import all_entries, append_line, arrived, keep, next_batch, sent

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def member(tmp_path) -> Membership:
    """Joined a shared folder; no thread sends by itself."""
    (tmp_path / "shared").mkdir()
    made = Membership(name="Ada", folder=str(tmp_path / "shared"))
    join(made)
    return made


def in_folder(member: Membership) -> list[dict]:
    with (Path(member.folder) / f"{member.learner}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def test_nothing_is_written_or_imported_before_somebody_joins(cache):
    code = "from moe_lessons.outbox import tell; tell('bye'); import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"urllib.request", "tornado", "moe_lessons.outbox.sender"} & set(run.stdout.split())
    assert not cache.exists()


def test_the_file_of_a_membership_is_its_owner_s_alone_and_survives_spoiling(member):
    assert membership() == member and len(member.secret) == 32
    assert os.name == "nt" or stat.S_IMODE(member_path().stat().st_mode) == 0o600
    member_path().write_text('{"name": 5}', encoding="utf-8")
    assert membership() is None


def test_entries_go_in_order_once_and_nothing_of_the_secret_with_them(member):
    made = [entry("check", {"exercise": "05.mixture", "passed": 0, "mistake": i % 9}) for i in range(95)]
    for each in made:
        keep(each)
    assert [deliver(member) for _ in range(4)] == [40, 40, 15, 0]
    assert in_folder(member) == made and member.secret not in json.dumps(in_folder(member))
    assert [each for each, end in all_entries() if end <= sent(member).offset] == made


def test_a_delivery_that_fails_is_tried_again_from_where_it_was(member, tmp_path):
    keep(entry("bye", {}))
    (tmp_path / "shared").rename(tmp_path / "away")
    with pytest.raises(OSError):
        deliver(member)
    (tmp_path / "away").rename(tmp_path / "shared")
    keep(entry("bye", {}))
    assert deliver(member) == 2 and len(in_folder(member)) == 2


def test_a_line_that_was_cut_off_costs_itself_alone(member):
    keep(entry("hello", {"name": "Ada"}))
    with outbox_path().open("ab") as file:
        file.write(b'{"id": "half')
    last = entry("bye", {})
    keep(last)
    assert deliver(member) == 2 and in_folder(member)[-1] == last


@pytest.mark.parametrize("damaged", [b"\x00" * 40_000, b'{"id\r": 5', b"\r", b"5", b"\n" * 60])
def test_damaged_lines_hold_up_nothing_that_comes_after_them(member, damaged):
    first, last = (entry("hello", {"name": name}) for name in ("Ada", "Bo"))
    keep(first)
    with outbox_path().open("ab") as file:
        file.write(damaged)
    keep(last)
    while deliver(member):
        pass
    assert in_folder(member) == [first, last] and [each for each, _ in all_entries()] == [first, last]


def test_a_second_kernel_does_not_send_while_one_does(member):
    from moe_lessons.outbox.delivery import Busy
    from moe_lessons.records import acquire

    keep(entry("bye", {}))
    with (class_dir() / ".sending.lock").open("ab") as other:
        acquire(other.fileno(), patience=0)
        with pytest.raises(Busy):
            deliver(member)
    assert deliver(member) == 1


def test_who_leaves_sends_nothing_and_who_joins_anew_begins_anew(member, tmp_path):
    keep(entry("bye", {}))
    leave()
    keep(entry("bye", {}))
    assert membership() is None and all_entries() == []
    again = Membership(name="Ada", folder=member.folder)
    join(again)
    arrived(member, 500, {})  # a kernel that had the old class in hand
    keep(entry("hello", {"name": "Ada"}))
    assert len(next_batch(again).entries) == 1 and again.learner != member.learner


def test_what_is_no_entry_is_told_to_nobody_and_disturbs_nobody(member, capsys):
    for wrong in (
        {"kind": "hello", "name": "<b>"},
        {"kind": "none"},
        {"kind": "check", "exercise": "x", "code": "import os"},
    ):
        tell(**wrong)
    assert all_entries() == [] and capsys.readouterr() == ("", "")


def test_a_place_that_cannot_be_written_disturbs_nobody(member, monkeypatch):
    monkeypatch.setattr("moe_lessons.outbox.waiting.append_line", lambda *_: (_ for _ in ()).throw(OSError("full")))
    tell("bye")


def test_voters_cannot_be_led_back_to_learners():
    voters = {voter_id("ab" * 16, key) for key in ("05.one_sheet", "05.shaking")}
    assert len(voters | {learner_id("ab" * 16), learner_id("cd" * 16)}) == 4
    assert voter_id("ab" * 16, "05.shaking") in voters


def test_lines_stay_lines_whatever_was_cut_off_before(tmp_path):
    file = tmp_path / "lines"
    append_line(file, b"one")
    file.write_bytes(file.read_bytes() + b"ha")
    append_line(file, b"two")
    assert file.read_bytes() == b"one\nha\ntwo\n"
