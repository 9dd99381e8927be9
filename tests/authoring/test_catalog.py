"""A catalog follows its lesson: what is new is empty, what changed is doubtful, what is gone is gone."""

import pytest

from moe_lessons.authoring import catalog
from moe_lessons.languages import catalogs


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """The texts that a catalog is to hold, for a test to change."""
    found: dict[str, list[str]] = {}
    monkeypatch.setattr(catalogs, "FOLDER", tmp_path)
    monkeypatch.setattr(catalog, "found_in", lambda name: dict(found))
    (tmp_path / "xx").mkdir()
    (tmp_path / "xx" / "language.toml").write_text('name = "Xish"', encoding="utf-8")
    return found


def put(tmp_path, text: str, said: str) -> None:
    path = tmp_path / "xx" / "05.po"
    kept = path.read_text(encoding="utf-8")
    assert f'msgid "{text}"\nmsgstr ""' in kept
    path.write_text(kept.replace(f'msgid "{text}"\nmsgstr ""', f'msgid "{text}"\nmsgstr "{said}"'), encoding="utf-8")


def test_a_new_text_is_missing_until_it_is_translated_and_stays_through_an_update(texts, tmp_path):
    texts["Two experts work on `a` token"] = ["notebooks/05.ipynb"]
    assert catalog.update("xx", ["05"]) == ["05: missing: Two experts work on `a` token"]
    put(tmp_path, "Two experts work on `a` token", "Zwei Experten an `a`")
    before = (tmp_path / "xx" / "05.po").read_text(encoding="utf-8")
    assert catalog.update("xx", ["05"]) == []
    assert (tmp_path / "xx" / "05.po").read_text(encoding="utf-8") == before
    assert "#: notebooks/05.ipynb\n" in before


def test_a_changed_text_keeps_its_translation_for_a_second_look_and_is_not_said(texts, tmp_path):
    texts["Two experts work on each token"] = ["a"]
    catalog.update("xx", ["05"])
    put(tmp_path, "Two experts work on each token", "Zwei Experten")
    del texts["Two experts work on each token"]
    texts["Two experts work on every token"] = ["a"]
    assert catalog.update("xx", ["05"]) == ["05: the source changed: Two experts work on every token"]
    catalogs.translations.cache_clear()
    assert catalogs.translations("xx", "05") == {}
    catalogs.translations.cache_clear()
    assert "Zwei Experten" in (tmp_path / "xx" / "05.po").read_text(encoding="utf-8")


def test_a_text_that_is_gone_leaves_the_catalog_and_is_named_before(texts, tmp_path):
    texts["Completely different words"] = ["a"]
    catalog.update("xx", ["05"])
    put(tmp_path, "Completely different words", "weg")
    del texts["Completely different words"]
    assert catalog.to_do("xx", "05") == ["in no file any more: Completely different words"]
    assert catalog.update("xx", ["05"]) == []
    assert "weg" not in (tmp_path / "xx" / "05.po").read_text(encoding="utf-8")


def test_a_slip_is_named_with_its_text(texts, tmp_path):
    texts["Set `top_k`"] = ["a"]
    catalog.update("xx", ["05"])
    put(tmp_path, "Set `top_k`", "Setz `topk`")
    (line,) = catalog.to_do("xx", "05")
    assert line.startswith("code: misses ['`top_k`']") and line.endswith("Set `top_k`")


def test_an_unknown_language_says_what_to_make_first(texts):
    with pytest.raises(ValueError, match=r"make moe_lessons/languages/yy/language\.toml first"):
        catalog.update("yy")
