import html
import re

import pytest

from moe_lessons.kit.answers import answer_key
from moe_lessons.kit.lesson import Lesson, read_lessons
from moe_lessons.predictions.question import lessons as with_questions


@pytest.mark.parametrize("number", with_questions())
def test_every_question_stands_with_what_its_lesson_measured(number):
    (lesson,) = read_lessons([number])
    page = html.unescape(answer_key(lesson))
    for key, one in lesson.questions.items():
        assert one.ask in page and f"<b>{lesson.measured[key]}</b>" in page and lesson.asked_in[key] in page
    kinds = [one.kind for one in lesson.questions.values()]
    assert page.count('class="found"') == page.count('class="band"') == len(kinds) - kinds.count("choice")
    assert page.count('<li class="right">') == kinds.count("choice")


def test_the_choice_that_was_measured_is_the_one_that_is_marked():
    (lesson,) = read_lessons(["05"])
    found = set(re.findall(r'<li class="right">([^<]+)</li>', answer_key(lesson)))
    assert found == {"They move", "The same, up to rounding"}


def test_a_question_that_the_stored_lesson_does_not_measure_says_so(lesson):
    assert len(lesson.measured) == 1 < len(lesson.questions)
    assert answer_key(lesson).count("<b>not stored</b>") == len(lesson.questions) - 1


def test_a_lesson_that_asks_nothing_has_no_key():
    none = Lesson("99", "99_x.ipynb", "Nothing", 5, "", (), "", "", [])
    with pytest.raises(ValueError, match="lesson 99 asks for no predictions"):
        answer_key(none)
