"""Files of records that several notebooks share: none of them loses what another one wrote."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from moe_lessons import records
from moe_lessons.exercises.progress import remember, remembered
from moe_lessons.records import RecordFile, held

pytestmark = pytest.mark.usefixtures("cache")

WRITER = """
import sys, time
from moe_lessons.records import RecordFile
from moe_lessons.exercises.progress import remember
file = RecordFile(book="book", key="rows", parse=int, piece="row", remedy="do it again")
first = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, first + 40):
    file.update(lambda rows: [*rows, number])
    remember(f"00.number_{number}")
"""


def test_two_processes_that_write_at_once_lose_nothing(cache):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(first)], **pipes) for first in (0, 40)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert sorted(json.loads((cache / "book.json").read_text(encoding="utf-8"))["rows"]) == list(range(80))
    assert remembered() == {f"00.number_{number}" for number in range(80)}


def test_a_lock_ends_with_its_block_also_where_that_fails(cache):
    with pytest.raises(KeyError), held(cache / "book.json"):
        raise KeyError
    with (cache / ".book.json.lock").open("ab") as lock:
        records.acquire(lock.fileno(), patience=0)  # OSError where somebody still had it


def test_who_waits_too_long_goes_on_without_the_lock(cache, monkeypatch):
    monkeypatch.setattr(records, "PATIENCE", 0.1)
    inside, done, overtaken = threading.Event(), threading.Event(), []

    def hold():
        with held(cache / "book.json"):
            inside.set()
            overtaken.append(done.wait(60))

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(60)
    with held(cache / "book.json"):
        done.set()
    holder.join()
    assert overtaken == [True]


def test_a_folder_that_cannot_be_made_is_no_error_of_the_lock(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with held(tmp_path / "file" / "book.json"):
        entered = True
    assert entered


def test_records_are_handed_to_the_change_as_they_were_parsed():
    file = RecordFile(book="book", key="rows", parse=str, piece="row", remedy="do it again")
    file.update(lambda rows: [*rows, 3])
    file.update(lambda rows: [*rows, 4])
    assert file.read() == ["3", "4"]


def test_a_file_that_cannot_be_read_is_not_replaced_by_the_new_record_alone(cache, monkeypatch):
    file = RecordFile(book="book", key="rows", parse=int, piece="row", remedy="do it again")
    file.update(lambda rows: [*rows, 1, 2, 3])
    remember("00.merge")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as denied, pytest.warns(UserWarning, match="the row is shown, not saved"):
        denied.setattr(Path, "read_text", refuse)
        file.update(lambda rows: [*rows, 4])
        remember("00.another")
        assert remembered() == set()
    assert file.read() == [1, 2, 3] and remembered() == {"00.merge"}
