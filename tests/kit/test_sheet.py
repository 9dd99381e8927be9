import re

from moe_lessons.exercises.catalog import declared
from moe_lessons.kit.lesson import read_lessons
from moe_lessons.kit.sheet import sheet
from moe_lessons.predictions.question import lessons as with_questions


def sides(page: str) -> list[str]:
    return re.findall(r'<section class="side \w+">.*?</section>', page, re.DOTALL)


def test_in_front_are_the_claim_and_the_questions_and_nothing_that_answers_them(lesson):
    front, back = sides(sheet(lesson))
    assert "<i>It is cheap.</i> Is it?" in front and "How many are left?" in front
    assert front.count('<div class="scale">') == 1 and "0.964" not in front and "<img" not in front
    assert back.count("<img") == 2


def test_the_exercises_are_behind_with_their_whole_texts(lesson):
    _, back = sides(sheet(lesson))
    assert back.count("<li>") == len(declared("05"))
    assert all(f"{one.minutes} min" in back for one in declared("05"))


def test_every_question_of_a_lesson_is_on_its_sheet_with_room_for_an_answer():
    for lesson in read_lessons(with_questions()):
        front, _ = sides(sheet(lesson))
        kinds = [one.kind for one in lesson.questions.values()]
        assert front.count('<ul class="boxes">') == kinds.count("choice")
        assert front.count('<div class="scale">') == len(kinds) - kinds.count("choice")
        assert front.count('class="after"') == len(kinds)
