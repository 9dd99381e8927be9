import nbformat
import pytest
from places import ROOT

from moe_lessons.kit.lesson import (
    Answered,
    Asked,
    Picture,
    Prose,
    Settled,
    Statement,
    place_of,
    read_lesson,
    read_lessons,
)
from moe_lessons.predictions.question import lessons as with_questions
from moe_lessons.predictions.question import question

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_the_head_is_taken_apart(lesson):
    assert (lesson.number, lesson.title, lesson.minutes) == ("05", "A small lesson", 45)
    assert lesson.summary == "What it is about, in one sentence."
    assert lesson.abilities == ("do one thing", "do `another`")
    assert (lesson.claim_label, lesson.claim) == ("The claim this lesson tests", "*It is cheap.* Is it?")


def test_a_section_has_its_pieces_in_the_order_of_its_cells(lesson):
    first, second, words = lesson.sections
    assert [part.heading for part in lesson.sections] == ["First part", "Second part", "Only words"]
    assert [type(piece) for piece in first.pieces] == [Prose, Asked, Picture, Statement, Prose]
    assert [type(piece) for piece in second.pieces] == [Asked, Picture, Answered, Settled]
    assert words.pieces == [Prose("Nothing to show here.")]


def test_a_picture_has_its_size_and_its_words(lesson):
    figure, still = (p for part in lesson.sections for p in part.pieces if isinstance(p, Picture))
    assert (figure.width, figure.height, figure.alt, figure.view) == (720, 280, "Bars < 3.", "")
    assert (still.width, still.height, still.view) == (720, 600, "ExpertPlane")


def test_a_statement_is_parted_at_its_last_colon_and_other_lines_are_none(lesson):
    assert [p for p in lesson.sections[0].pieces if isinstance(p, Statement)] == [Statement("share of it: all", "12%")]


def test_a_question_in_prose_is_a_sentence_on_one_line_and_no_prose(lesson):
    prose, asked, *_ = lesson.sections[0].pieces
    assert prose == Prose("Words before it.") and asked == Asked("", "How many are left?")


def test_questions_know_their_measurement_and_their_section(lesson):
    assert lesson.measured == {"05.one_sheet": "0.964"}
    assert lesson.asked_in["05.one_sheet"] == "Second part"
    assert "05.one_sheet" in lesson.questions


def test_what_is_no_lesson_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "05_other.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")]), path)
    with pytest.raises(ValueError, match="05_other.ipynb does not begin with"):
        read_lesson(path)
    with pytest.raises(ValueError, match="there is no lesson 77; name lessons by their numbers: 00 01"):
        read_lessons(["77"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])
def test_of_each_lesson_nothing_is_lost(path):
    """Counted by hand in the notebook's own JSON: pictures, statements, questions."""
    found, stored = read_lesson(path), nbformat.read(path, as_version=4)
    pieces = [piece for part in found.sections for piece in part.pieces]
    outputs = [output for cell in stored.cells for output in cell.get("outputs", [])]
    pictures = [o.data["text/plain"] for o in outputs if "image/png" in o.get("data", {})]
    printed = "".join(o.text for o in outputs if o.output_type == "stream")
    assert sum(isinstance(p, Picture) for p in pieces) == sum("PredictionView" not in words for words in pictures)
    assert sum(isinstance(p, Statement) for p in pieces) == printed.count("(the sentence")
    asked = {cell.source for cell in stored.cells if cell.source.startswith("predict(")}
    assert len({p.key for p in pieces if isinstance(p, Asked) and p.key}) == len(asked)
    assert all(p.width and p.height for p in pieces if isinstance(p, Picture))
    assert found.claim or found.number == "00"


@pytest.mark.parametrize("number", with_questions())
def test_every_stored_measurement_has_a_place_on_its_question(number):
    (lesson,) = read_lessons([number])
    for key, shown in lesson.measured.items():
        one, place = question(key), place_of(question(key), shown)
        if one.kind == "choice":
            assert shown.startswith(one.choices[int(place)])
        else:
            low, high = one.expected
            assert low <= place <= high


def test_a_measurement_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="which does not fit its question"):
        place_of(question("05.starved_borders"), "Perhaps")
    with pytest.raises(ValueError, match="05.one_sheet was measured as 'much'"):
        place_of(question("05.one_sheet"), "much")
