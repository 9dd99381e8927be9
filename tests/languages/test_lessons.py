"""A lesson in another language: its prose, and nothing else, is another one."""

import json

import pytest
from places import LESSONS

from moe_lessons.authoring import folder
from moe_lessons.languages.catalogs import languages, lessons_of, translations
from moe_lessons.languages.lessons import UNTRANSLATED, file_in_language, in_language
from moe_lessons.languages.markdown import messages


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_code_and_outputs_stay_and_every_paragraph_of_a_complete_lesson_changes(path):
    ours, lesson = folder.read(path), path.stem[:2]
    theirs = in_language(ours, lesson, "de")
    for one, other in zip(ours.cells, theirs.cells, strict=True):
        assert {**one, "source": ""} == {**other, "source": ""}
        if one.cell_type == "code":
            assert one.source == other.source
        elif lesson in languages()["de"].complete:
            known = translations("de", lesson)
            assert [known[text] for text in messages(one.source)] == messages(other.source)
        elif one is not ours.cells[0]:
            assert one.source == other.source
    note = translations("de")[UNTRANSLATED]
    assert (note in theirs.cells[0].source) == (lesson not in lessons_of("de"))


def test_a_copied_file_is_the_translated_notebook_and_the_same_each_time():
    path = next(path for path in LESSONS if path.stem.startswith("05"))
    content = path.read_bytes()
    said = file_in_language(content, "05", "de")
    assert said == file_in_language(content, "05", "de") != content
    assert json.loads(said)["metadata"] == json.loads(content)["metadata"]
    assert "".join(json.loads(said)["cells"][0]["source"]).startswith("# 05 · Experten und ein Router\n")
    assert file_in_language(content, "05", "en") != said


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"cells": [1]}', b"\xff"])
def test_what_is_no_notebook_is_left_alone(content):
    assert file_in_language(content, "05", "de") == content
