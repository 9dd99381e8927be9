import re

from moe_lessons.exercises.catalog import declared
from moe_lessons.kit.choose import slides_of
from moe_lessons.kit.slides import MOST, slides


def sections(page: str) -> list[str]:
    return re.findall(r'<section class="slide (\w+)', page)


def test_there_is_a_slide_for_the_head_for_each_chosen_piece_and_for_the_exercises(lesson):
    page = slides(lesson)
    assert sections(page) == ["first", "asks", "shows", "asks", "shows", "settles", "work"]
    assert all(f"05.{one.name}" in page for one in declared("05"))


def test_the_page_needs_nothing_beside_it(lesson):
    page = slides(lesson)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page) and "@import" not in page and "url(" not in page
    assert page.count("data:image/png;base64,") == sum(bool(slide.picture) for slide in slides_of(lesson)) == 2


def test_pictures_keep_their_words_and_nothing_of_a_lesson_becomes_a_tag(lesson):
    assert 'alt="Bars &lt; 3."' in slides(lesson)


def test_a_question_has_its_scale_and_its_measurement_says_how_close_is_right(lesson):
    page = slides(lesson)
    assert page.count('<div class="scale">') == 1
    assert "What does the best single sheet cost?" in page
    assert "(right within 0.15)</small>" in page and "<b>0.964</b>" in page


def test_a_wide_picture_takes_the_width_and_another_stands_beside_its_words(lesson):
    page = slides(lesson)
    assert 'class="slide shows flat"' in page and 'class="slide shows tall"' in page
    assert "A still of ExpertPlane; it is alive in the lesson." in page


def test_what_it_comes_to_waits_for_a_key_and_the_prose_is_in_the_notes(lesson):
    page = slides(lesson)
    assert '<p class="so" data-step><b>This is what the picture comes to, and nothing else.</b></p>' in page
    assert '<aside class="notes"><p>Words before it.</p></aside>' in page


def test_many_measurements_are_cut_and_said_to_be(lesson):
    pieces = lesson.sections[0].pieces
    pieces[4:4] = [pieces[3]._replace(what=f"number {n}") for n in range(MOST)]
    page = slides(lesson)
    assert page.count("<span>Number ") == MOST - 1 and "1 more in the lesson" in page
