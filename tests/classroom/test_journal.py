"""The journal: what was acknowledged is there after any end, and one process has it."""

import os
import stat

import pytest

from moe_lessons.classroom.journal import Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "class" / "entries.jsonl"


def test_what_was_written_is_read_and_only_its_owner_may_read_it(path):
    journal = Journal(path)
    journal.append([{"a": 1}, {"b": "é"}])
    assert journal.read() == [{"a": 1}, {"b": "é"}]
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.close()


def test_a_last_line_that_was_cut_off_is_taken_away_and_the_next_one_stays_whole(path):
    whole = b'{"a": 1}\n{"b": 2}\n'
    for cut in range(len(b'{"b": 2}\n')):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole[: len(b'{"a": 1}\n') + cut])
        journal = Journal(path)
        assert journal.read() == [{"a": 1}]
        journal.append([{"c": 3}])
        assert journal.read() == [{"a": 1}, {"c": 3}]
        journal.close()


@pytest.mark.parametrize("damaged", [b"\x00\x00\xff", b'{"b\r": 2', b"\r", b"\x0b\x0c\x1c\x85"])
def test_a_damaged_line_in_the_middle_costs_that_line_alone(path, damaged):
    path.parent.mkdir()
    path.write_bytes(b'{"a": 1}\n' + damaged + b'\n{"c": 3}\n')
    journal = Journal(path)
    assert journal.read() == [{"a": 1}, {"c": 3}]
    assert path.read_bytes().endswith(b'\n{"c": 3}\n')
    journal.close()


def test_a_disk_that_takes_half_of_a_batch_keeps_none_of_it(path, monkeypatch):
    journal = Journal(path)
    journal.append([{"a": 1}])
    real = journal._file

    class Full:
        def __getattr__(self, name):
            return getattr(real, name)

        def write(self, lines):
            return real.write(lines[: len(lines) // 2])

    monkeypatch.setattr(journal, "_file", Full())
    with pytest.raises(OSError):
        journal.append([{"b": 2}, {"c": 3}])
    monkeypatch.undo()
    assert journal.read() == [{"a": 1}] and path.read_bytes() == b'{"a": 1}\n'
    journal.close()


def test_a_second_process_is_refused_until_the_first_has_closed(path):
    first = Journal(path)
    with pytest.raises(ValueError, match="another `moe-lessons class`"):
        Journal(path)
    first.close()
    Journal(path).close()
