from moe_lessons.kit.choose import pictures_of, slides_of
from moe_lessons.kit.lesson import read_lessons


def kinds(slides) -> list[str]:
    return [
        "asks" if slide.asked else "settles" if slide.settled else "shows" if slide.picture else "states"
        for slide in slides
    ]


def test_the_rule_by_example(lesson):
    made = slides_of(lesson)
    assert kinds(made) == ["asks", "shows", "asks", "shows", "settles"]
    assert [slide.heading for slide in made] == ["First part"] * 2 + ["Second part"] * 3


def test_what_was_measured_goes_with_the_picture_before_it_and_the_prose_behind_it_says_what_it_comes_to(lesson):
    _, first, _, second, _ = slides_of(lesson)
    assert [one.value for one in first.statements] == ["12%"]
    assert first.point == "**This is what the picture comes to, and nothing else.**"
    assert [one.shown for one in second.answered] == ["0.964"] and not second.point


def test_prose_before_a_question_is_in_its_notes(lesson):
    assert slides_of(lesson)[0].notes == "Words before it."


def test_a_cell_with_the_tag_is_left_out(lesson):
    assert not [slide for slide in slides_of(lesson) if slide.picture and slide.picture.width == 10]


def test_of_each_real_lesson_every_picture_and_question_has_one_slide_and_no_slide_is_empty():
    for lesson in read_lessons():
        made = slides_of(lesson)
        pieces = [type(piece).__name__ for part in lesson.sections for piece in part.pieces]
        assert sum(bool(slide.picture) for slide in made) == pieces.count("Picture")
        assert sum(bool(slide.asked) for slide in made) == pieces.count("Asked")
        assert sum(len(slide.statements) for slide in made) == pieces.count("Statement")
        assert sum(len(slide.answered) for slide in made) == pieces.count("Answered")
        assert 10 <= len(made) <= 80


def test_paper_gets_pictures_of_different_sections_in_the_lessons_order(lesson):
    assert [slide.heading for slide in pictures_of(lesson, 4)] == ["First part", "Second part"]
    # The second one answers a question, which counts more than being drawn from numbers.
    assert [slide.heading for slide in pictures_of(lesson, 1)] == ["Second part"]
