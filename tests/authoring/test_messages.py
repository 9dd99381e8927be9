"""Every text that is marked is found, however it is written; and nothing marked is hidden from the finder."""

import re

import pytest
from places import PACKAGE

from moe_lessons.authoring.messages import _IN_JAVASCRIPT, found_in, marked_in_python, titles_in
from moe_lessons.languages.pages import marked_in, unmarked


def test_texts_within_templates_conditions_and_other_calls_are_found():
    source = 'a(`${t("one")} b`); t(x ? later("two") : later(\n  "thr\\"ee",\n)); start("no"); t(no); inQuotes("no")'
    assert _IN_JAVASCRIPT.findall(source) == ['"one"', '"two"', '"thr\\"ee"']


def test_texts_of_python_are_found_in_their_order():
    assert marked_in_python('x = later("a")\ny = f(translate("b " "c", n=1))\ntranslate(x)') == ["a", "b c"]


def test_marks_of_a_page_may_go_over_lines_and_leave_nothing_behind():
    page = "<h1>[[One\n  title]]</h1><p>[[two]]</p>"
    assert marked_in(page) == ["One title", "two"]
    assert unmarked(page, {"One title": "Ein Titel"}) == "<h1>Ein Titel</h1><p>two</p>"


def test_only_widgets_titles_are_taken_from_code():
    code = '%matplotlib inline\nRouterView(x, title="A title")\nExpertPlane([r], "Six")\nprint("no")\nf(title="no")'
    assert sorted(titles_in(code)) == ["A title", "Six"]


def test_a_lesson_brings_its_prose_its_quiz_and_its_predictions():
    places = {place for each in found_in("05").values() for place in each}
    from_checks = "moe_lessons"  # what they say to an attempt
    assert {place.split("/")[0] for place in places} == {"notebooks", "data", from_checks}
    assert {"data/quiz/05.toml", "data/predictions/05.toml"} <= places
    with pytest.raises(ValueError, match="there is no lesson '99'"):
        found_in("99")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.js")), ids=lambda path: path.name)
def test_no_javascript_hands_a_template_to_the_catalog(path):
    if "static" not in path.parts:
        assert not re.search(r"\b(?:t|later)\(\s*[`']", path.read_text(encoding="utf-8")), path
