"""The keys of a class."""

import os
import stat
from pathlib import Path

import pytest

from moe_lessons.classroom.journal import NAME, Journal
from moe_lessons.classroom.keys import keys, plain, set_aside


def test_keys_outlive_a_restart_and_are_their_owner_s_alone(tmp_path):
    made = keys(tmp_path / "class")
    assert keys(tmp_path / "class") == made and len(made.token) == 48 and len(plain(made.code)) == 8
    assert os.name == "nt" or stat.S_IMODE((tmp_path / "class" / "class.json").stat().st_mode) == 0o600


def test_no_two_classes_have_the_same_keys(tmp_path):
    made = [keys(tmp_path / str(i)) for i in range(50)]
    assert len({each.code for each in made}) == len({each.token for each in made}) == 50
    assert not set("".join(each.code for each in made)) & set("01iloA")


@pytest.mark.parametrize("text", ["", "{", '{"code": "", "token": ""}', '{"code": "k3f9-7wpx", "token": "short"}'])
def test_a_spoiled_file_gives_new_keys_never_empty_ones(tmp_path, text):
    (tmp_path / "class.json").write_text(text, encoding="utf-8")
    assert len(keys(tmp_path).token) == 48


def test_a_file_that_cannot_be_read_is_not_replaced_by_keys_that_nobody_has(tmp_path, monkeypatch):
    made = keys(tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as denied, pytest.raises(PermissionError):
        denied.setattr(Path, "read_text", refuse)
        keys(tmp_path)
    assert keys(tmp_path) == made


def test_a_class_is_set_aside_whole(tmp_path):
    assert set_aside(tmp_path / "class") is None
    keys(tmp_path / "class")
    aside = set_aside(tmp_path / "class")
    assert aside and (aside / "class.json").exists() and not (tmp_path / "class").exists()


def test_a_class_that_is_open_is_not_set_aside(tmp_path):
    keys(tmp_path / "class")
    journal = Journal(tmp_path / "class" / NAME)
    with pytest.raises(ValueError, match="stop it first"):
        set_aside(tmp_path / "class")
    assert (tmp_path / "class" / NAME).exists()
    journal.close()
    assert set_aside(tmp_path / "class")
