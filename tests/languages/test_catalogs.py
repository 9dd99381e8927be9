"""Catalogs as they are read: what is doubtful is left out, what is spoiled is named, and the shipped ones are whole."""

import re
import shutil

import pytest

from moe_lessons.authoring.catalog import to_do
from moe_lessons.languages import catalogs
from moe_lessons.languages.catalogs import WORDS, languages, lessons_of, translations

HEAD = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
EVERY = [(code, name) for code, one in languages().items() for name in (WORDS, *one.complete)]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A language of the test's own; gives what writes one of its catalogs."""
    monkeypatch.setattr(catalogs, "FOLDER", tmp_path)
    (tmp_path / "xx").mkdir()
    (tmp_path / "xx" / "language.toml").write_text('name = "Xish"\n', encoding="utf-8")
    translations.cache_clear()
    catalogs.every_translation.cache_clear()

    def write(name: str, text: str) -> None:
        (tmp_path / "xx" / f"{name}.po").write_text(HEAD + text, encoding="utf-8")

    yield write
    translations.cache_clear()
    catalogs.every_translation.cache_clear()


def test_a_doubtful_or_empty_entry_is_not_said(own):
    own("words", 'msgid "a"\nmsgstr "ä"\n\n#, fuzzy\nmsgid "b"\nmsgstr "ß"\n\nmsgid "c"\nmsgstr ""\n')
    assert translations("xx") == {"a": "ä"}


def test_a_missing_catalog_is_an_empty_one_and_a_spoiled_one_is_named(own):
    assert translations("xx", "07") == {}
    own("08", "no catalog")
    with pytest.raises(ValueError, match=r"xx/08\.po"):
        translations("xx", "08")


def test_a_language_without_a_name_is_refused(own, tmp_path):
    (tmp_path / "xx" / "language.toml").write_text("complete = 5\n", encoding="utf-8")
    with pytest.raises(ValueError, match="name"):
        languages()
    shutil.rmtree(tmp_path / "xx")
    assert languages() == {}


def test_lessons_are_known_by_their_catalogs(own):
    own("05", "")
    own("words", "")
    assert lessons_of("xx") == ["05"]


@pytest.mark.parametrize(("code", "name"), EVERY)
def test_a_catalog_that_is_called_complete_lacks_nothing(code, name):
    left = to_do(code, name)
    assert not left, f"python -m moe_lessons.authoring catalog {code} {name}, then translate:\n" + "\n".join(left)


@pytest.mark.parametrize(("code", "name"), EVERY)
def test_a_translation_has_the_quotation_marks_of_its_language_and_no_stray_blanks(code, name):
    for text, said in translations(code, name).items():
        prose = re.sub(r"`[^`]*`|<[^>]*>|\$[^$]*\$", "", said)
        assert '"' not in prose and said.strip() == said, text
        if code == "de":
            assert prose.count("„") == prose.count("“") and "”" not in prose, text
            assert not re.search(r" – |—|[a-zäöüß,] (Sie|Ihnen|Ihre?)\b", prose), text
