"""The quizzes: sound questions, a widget with a stable repr, and the arithmetic of its front end."""

import pytest
from in_node import javascript

import moe_lessons.exercises.quizzes as quizzes
from moe_lessons.exercises import quiz
from moe_lessons.exercises.quizzes import questions_of
from moe_lessons.resources import data_path
from moe_lessons.widgets import Quiz

LESSONS = sorted(path.stem for path in data_path("quiz").glob("*.toml"))


def test_the_first_lessons_have_quizzes():
    assert {"00", "01", "02", "03", "04", "07"} <= set(LESSONS)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_option_explains_itself(lesson):
    title, questions = questions_of(lesson)
    assert title and 4 <= len(questions) <= 7
    for question in questions:
        assert len({option["text"] for option in question["options"]}) == len(question["options"]) >= 3
        assert sum(option["right"] for option in question["options"]) == 1
        for option in question["options"]:
            assert len(option["why"]) > 30 and option["why"].endswith((".", "!")), option["why"]
            assert option["text"].count("`") % 2 == option["why"].count("`") % 2 == question["ask"].count("`") % 2 == 0


def test_options_come_in_a_fixed_order_that_gives_nothing_away():
    positions = [
        [option["right"] for option in question["options"]].index(True)
        for lesson in LESSONS
        for question in questions_of(lesson)[1]
    ]
    assert set(positions) == {0, 1, 2, 3} and max(positions.count(p) for p in range(4)) < 0.5 * len(positions)
    assert questions_of("01") == questions_of("01")


def test_an_unknown_quiz_lists_the_known_ones():
    with pytest.raises(ValueError, match="no quiz for lesson '99'; there are quizzes for: 00, 01"):
        quiz("99")


QUESTION = 'title = "x"\n[[question]]\nask = "?"\n'
OPTION = '[[question.option]]\ntext = "a"\nwhy = "b"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title = ", "is not valid TOML"),
        ('title = "x"', "needs a `title` and"),
        (QUESTION, "question 1: a question needs"),
        (QUESTION + OPTION + OPTION, "exactly one option"),
        (QUESTION + OPTION + "right = true\n[[question.option]]\ntext = 'c'", "needs a `text` and a `why`"),
    ],
)
def test_an_unsound_file_is_named_with_its_question(text, sentence, tmp_path, monkeypatch):
    (tmp_path / "quiz").mkdir()
    (tmp_path / "quiz" / "55.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(quizzes, "data_path", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match=f"data/quiz/55.toml.*{sentence}"):
        quiz("55")


def test_the_widget_has_a_stable_repr_and_a_readable_page_that_hides_the_answers():
    first, second = quiz("01"), quiz("01")
    assert repr(first) == repr(second) == f"<Quiz of lesson 01: {len(questions_of('01')[1])} questions>"
    data, _ = first._repr_mimebundle_()
    again, _ = second._repr_mimebundle_()
    assert data["text/html"] == again["text/html"] and "image/png" not in data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "<code>Käse</code>" in data["text/html"]
    for question in first.questions:
        for option in question["options"]:
            assert option["why"] not in data["text/html"]


def test_the_still_picture_shows_every_question_and_option():
    widget = quiz("04")
    shown = " ".join(text.get_text() for text in widget.figure().texts).replace("○  ", "")
    for question in widget.questions:
        assert question["ask"].replace("`", "") in shown
        for option in question["options"]:
            assert option["text"].replace("`", "") in shown and option["why"] not in shown


def test_markup_in_a_question_is_shown_not_obeyed():
    options = [{"text": "<b>1</b>", "why": "no", "right": False}, {"text": "`a < b`", "why": "yes", "right": True}]
    page = Quiz(lesson="xx", title="<i>", questions=[{"ask": "?", "options": options}])._repr_mimebundle_()[0][
        "text/html"
    ]
    assert "&lt;b&gt;1&lt;/b&gt;" in page and "<code>a &lt; b</code>" in page and "&lt;i&gt;" in page


def test_the_front_end_counts_first_tries_apart_from_corrections(node):
    program = """(() => {
      const questions = [0, 1].map(() => ({ options: [{ right: false }, { right: true }] }));
      const once = m.choose([-1, -1], [-1, -1], 0, 0);
      const twice = m.choose(once.chosen, once.first, 0, 1);
      return {
        once, twice,
        start: m.scoreLine(m.score(questions, [-1, -1], [-1, -1])),
        middle: m.scoreLine(m.score(questions, twice.chosen, twice.first)),
        end: m.scoreLine(m.score(questions, [1, 1], [0, 1])),
        spans: m.spans("a `b` c"),
      };
    })()"""
    result = javascript(node, "quiz/view", program, None)
    assert result["once"] == {"chosen": [0, -1], "first": [0, -1]}
    assert result["twice"] == {"chosen": [1, -1], "first": [0, -1]}
    assert result["start"] == "2 questions; nothing is counted against you."
    assert result["middle"] == "1 of 2 right, 0 at the first try. 1 to go."
    assert result["end"] == "2 of 2 right, 1 at the first try."
    assert result["spans"] == [
        {"text": "a ", "code": False},
        {"text": "b", "code": True},
        {"text": " c", "code": False},
    ]
