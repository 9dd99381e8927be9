"""One setting decides what is spoken: the environment's, or else that of the folder of lessons."""

import json

import pytest

from moe_lessons.languages import VARIABLE, language, use


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_set_is_english():
    assert language() == "en"


def test_the_environment_decides_over_the_folder(monkeypatch, tmp_path):
    (tmp_path / ".copied.json").write_text(json.dumps({"language": "de", "00_a.ipynb": "1"}), encoding="utf-8")
    assert language() == "de"
    monkeypatch.setenv(VARIABLE, "en")
    assert language() == "en"


def test_an_unknown_language_is_said_once_more_in_english(monkeypatch):
    monkeypatch.setenv(VARIABLE, "tlh")
    with pytest.warns(UserWarning, match=r"MOE_LESSONS_LANGUAGE is 'tlh', and the course has: en, de"):
        assert language() == "en"


@pytest.mark.parametrize("record", [b"", b"[]", b"{\x00", b'{"language": null}'])
def test_a_spoiled_record_of_the_folder_is_english(tmp_path, record):
    (tmp_path / ".copied.json").write_bytes(record)
    if record.endswith(b"null}"):
        with pytest.warns(UserWarning, match="None"):
            assert language() == "en"
    else:
        assert language() == "en"


def test_a_process_can_change_its_language_and_only_to_one_that_there_is(monkeypatch):
    monkeypatch.setenv(VARIABLE, "en")  # so that it is put back afterwards
    use("de")
    assert language() == "de"
    with pytest.raises(ValueError, match="must be one of: en, de"):
        use("fr")
