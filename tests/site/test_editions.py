"""The site's languages lead to each other, and a page says in its language what widgets on it say."""

import json
import re

import pytest

from moe_lessons.languages.catalogs import translations
from moe_lessons.languages.pages import marked_in, unmarked
from moe_lessons.site.editions import editions, links, others, write_words
from moe_lessons.site.front import PAGE
from moe_lessons.site.pages import TEXTS

EVERY = editions()
ENGLISH, GERMAN = EVERY[0], next(one for one in EVERY if one.code == "de")
OWN = [PAGE / "index.html", *TEXTS.glob("*.html"), *TEXTS.glob("*.md")]


def test_english_comes_first_and_others_are_chosen_by_their_codes():
    assert [one.code for one in editions([])] == ["en"]
    assert [(one.code, one.name, one.folder, one.root) for one in editions(["de"])] == [
        ("en", "English", "", ""),
        ("de", "Deutsch", "de/", "../"),
    ]
    with pytest.raises(ValueError, match="there is no language 'fr'; there are: en, de"):
        editions(["fr"])


def test_the_way_to_another_language_and_back_is_the_site_itself():
    (there,), (back,) = others(ENGLISH, [ENGLISH, GERMAN]), others(GERMAN, [ENGLISH, GERMAN])
    assert (there["way"], back["way"]) == ("de/", "../")
    assert links(GERMAN, [ENGLISH, GERMAN]) == '<a href="../" hreflang="en" lang="en">English</a>'
    assert links(ENGLISH, [ENGLISH]) == ""


def test_the_words_of_a_page_are_those_of_widgets_and_of_questions_but_no_prose(tmp_path):
    for one in (ENGLISH, GERMAN):
        write_words(tmp_path, one)
    (path,) = (tmp_path / "languages").iterdir()
    words = json.loads(path.read_text(encoding="utf-8"))
    assert words["▶ Play"] == "▶ Abspielen" and words["They move"] == "Sie bewegen sich"
    assert words["Six experts, five vanes"] == "Sechs Experten, fünf Flügel"
    assert max(map(len, words)) < 400 and path.stat().st_size < 100_000


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_mark_is_left_in_a_page_of_either_language_and_its_tags_are_the_same(path):
    source = path.read_text(encoding="utf-8")
    english, german = unmarked(source, {}), unmarked(source, translations("de"))
    assert "[[" not in english + german
    assert re.findall(r"</?\w+", english) == re.findall(r"</?\w+", german)
    assert (english == german) == (not marked_in(source))


def test_recorded_outputs_of_a_translated_lesson_say_what_catalogs_know_and_others_stay():
    asked = "Train the starved router with Adam. Will its borders stand still?"
    page = f"<p><b>Predict:</b> {asked} <i>(They move)</i></p><td>open</td><code>open(x)</code>"
    assert ENGLISH.page(page, "05") == page == GERMAN.page(page, "01")
    said = GERMAN.page(page, "05")
    assert translations("de", "05")[asked] in said and "<b>Sag voraus:</b>" in said
    assert "<td>offen</td><code>open(x)</code>" in said and "They move" in said
    assert (
        GERMAN.titled("| [05 · Experts and a router](05_x.ipynb) |") == "| [05 · Experten und ein Router](05_x.ipynb) |"
    )
