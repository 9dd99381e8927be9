"""What widgets and questions say in another language, and that English costs nothing."""

import re
import subprocess
import sys

import pytest

from moe_lessons.authoring.messages import found_in
from moe_lessons.exercises import quiz
from moe_lessons.languages import VARIABLE, translate
from moe_lessons.languages.catalogs import WORDS, translations
from moe_lessons.languages.words import words_of
from moe_lessons.predictions import predict
from moe_lessons.predictions.question import question
from moe_lessons.widgets.shared import view

FRONT_ENDS = ("router_view", "expert_plane", "budget_view", "training_board", "prediction_view", "quiz")


@pytest.fixture
def german(monkeypatch):
    monkeypatch.setenv(VARIABLE, "de")


def test_values_take_their_places_and_an_unknown_text_is_itself(german):
    assert translate("between {low} and {high}", low=1, high="2") == "zwischen 1 und 2"
    assert translate("no such text, {x}", x=3) == "no such text, 3"


def test_english_reads_no_catalog():
    code = (
        "import sys; from moe_lessons.predictions import predict; view = predict('05.one_sheet'); "
        "assert view.words == {} and not any(name.startswith('babel.messages') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""}, timeout=120)


def test_a_question_and_its_answer_are_said_in_the_language(german):
    one = question("05.starved_borders")
    assert predict("05.starved_borders").questions[0]["choices"] == ["Sie stehen still", "Sie bewegen sich"]
    assert one.shown(1) == "Sie bewegen sich" and one.place("They move") == 1  # the lesson's code stays English
    assert question("05.one_sheet").sent()["measure"] == "Loss des besten einzelnen Blattes"


def test_a_quiz_is_asked_in_the_language_with_its_options_in_the_same_order(german, monkeypatch):
    said = quiz("00")
    monkeypatch.setenv(VARIABLE, "en")
    for ours, theirs in zip(quiz("00").questions, said.questions, strict=True):
        known = translations("de", "00")
        assert theirs["ask"] == known[ours["ask"]]
        assert [known[option["text"]] for option in ours["options"]] == [o["text"] for o in theirs["options"]]
        assert [option["right"] for option in ours["options"]] == [o["right"] for o in theirs["options"]]


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_front_end_gets_all_the_words_that_it_says_and_few_others(german, name):
    words, own = words_of(view._BUILT / f"{name}.js"), f"moe_lessons/widgets/{name}/"
    found = found_in(WORDS).items()
    said = {text for text, places in found if any(p.startswith(own) and p.endswith(".js") for p in places)}
    assert said and said <= words.keys() <= translations("de").keys()
    assert len(words) < len(translations("de"))


RAW = re.compile(
    r"""(?:"aria-(?:label|valuetext)"|\b(?:label|title|placeholder|textContent))(?:: | = |, )(["`])(?=[^"`]*[a-z]{3})"""
)


@pytest.mark.parametrize("name", [*FRONT_ENDS, "shared"])
def test_no_name_that_a_reader_or_a_screen_reader_meets_passes_by_the_catalog(name):
    for path in (view._BUILT.parent / name).glob("*.js"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            passes = (
                RAW.search(re.sub(r"\$\{[^}]*\}", "", line)) and path.name != "stepper.js"
            )  # of English lessons yet
            assert not passes, f"{path.name}:{number}: {line.strip()}"
