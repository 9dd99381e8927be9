"""A shared folder, in which anybody may put anything."""

import json
import os

import pytest
from running_class import entry

from moe_lessons.classroom import shared_folder
from moe_lessons.classroom.shared_folder import SharedFolder

WHO = "0123456789abcdef"


@pytest.fixture
def counted():
    return []


@pytest.fixture
def folder(tmp_path, counted):
    return SharedFolder(tmp_path, lambda who, made: counted.append((who, made)))


def line(**fields) -> bytes:
    return json.dumps(entry(**fields)).encode() + b"\n"


def test_lines_are_counted_once_as_they_come_and_one_that_is_being_written_when_it_is_whole(tmp_path, folder, counted):
    file = tmp_path / f"{WHO}.jsonl"
    first, second = line(kind="hello", name="Ada"), line(kind="bye")
    file.write_bytes(first + second[:20])
    folder.look(), folder.look()
    assert [made["kind"] for _, made in counted] == ["hello"]
    file.write_bytes(first + second)
    folder.look(), folder.look()
    assert [made["kind"] for _, made in counted] == ["hello", "bye"] and {who for who, _ in counted} == {WHO}


def test_whatever_else_lies_there_is_not_read(tmp_path, folder, counted):
    good = line(kind="hello", name="Ada")
    (tmp_path / "notes.jsonl").write_bytes(good)
    (tmp_path / f"{'a' * 16}.jsonl").mkdir()
    if os.name != "nt":
        (tmp_path / "real").write_bytes(good)
        (tmp_path / f"{'b' * 16}.jsonl").symlink_to(tmp_path / "real")
        os.mkfifo(tmp_path / f"{'c' * 16}.jsonl")  # which would stop whoever reads it
    (tmp_path / f"{'d' * 16}.jsonl").write_bytes(good)
    folder.look()
    assert [who for who, _ in counted] == ["d" * 16]


def test_bad_lines_cost_themselves_alone(tmp_path, folder, counted):
    bad = [
        b"\n",
        b"{\n",
        b"{\r{\n",
        b"\xff\n",
        b"NaN\n",
        line(kind="hello", name="<b>"),
        b"x" * 2000 + b"\n",
        b"[" * 900 + b"\n",
    ]
    (tmp_path / f"{WHO}.jsonl").write_bytes(b"".join(bad) + line(kind="bye"))
    folder.look()
    assert [made["kind"] for _, made in counted] == ["bye"] and folder.refused == len(bad) - 1


def test_a_file_without_an_end_of_a_line_or_of_itself_stops_nothing(tmp_path, folder, counted, monkeypatch):
    monkeypatch.setattr(shared_folder, "LARGEST", 10_000)
    (tmp_path / f"{'a' * 16}.jsonl").write_bytes(b"x" * 9000)
    (tmp_path / f"{'b' * 16}.jsonl").write_bytes(b"x" * 20_000)
    (tmp_path / f"{'c' * 16}.jsonl").write_bytes(line(kind="bye"))
    folder.look()
    assert len(counted) == 1
    with (tmp_path / f"{'a' * 16}.jsonl").open("ab") as file:
        file.write(b"\n" + line(kind="bye"))
    folder.look()
    assert len(counted) == 2


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        SharedFolder(tmp_path / "none", print)
