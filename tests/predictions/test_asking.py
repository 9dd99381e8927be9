"""`predict`, `predicted`, `predictions`: what a lesson shows, with and without an answer."""

import json

import pytest

from moe_lessons.predictions import asking, predict, predicted, predictions

KEY = "05.one_sheet"


@pytest.fixture(autouse=True)
def _fresh(cache, monkeypatch):
    """No answers on this machine, and a kernel that has measured nothing."""
    monkeypatch.setattr(asking, "_MEASURED", {})


def give(view, value, sure=False, key=KEY):
    """As the front end hands over an answer."""
    view.given = [key, value, sure, len(view.given) + 1 + (view.given[-1] if view.given else 0)]
    return view


def file_of(cache):
    return json.loads((cache / "predictions.json").read_text(encoding="utf-8"))["answers"]


def test_an_answer_is_kept_and_stands_beside_the_measurement(cache):
    asked = give(predict(KEY), 0.6, sure=True)
    assert asked.message == "" and asked.answers[KEY]["answer"] == 0.6
    (record,) = file_of(cache)
    assert (record["key"], record["answer"], record["sure"], record["late"]) == (KEY, 0.6, 1, 0)
    compared = predicted(KEY, 0.97)
    assert compared.answers[KEY]["shown"] == "0.6" and compared.measured[KEY] == {"place": 0.97, "shown": "0.97"}
    assert "Predicted: 0.6" in compared.figure().alt


def test_nothing_is_asked_of_who_answers_nothing(cache):
    assert predict(KEY).answers == {} and predicted(KEY, 0.97).answers == {} and predictions("05").answers == {}
    assert not cache.exists()


def test_an_answer_may_change_until_it_was_measured_and_then_stands(cache):
    asked = give(predict(KEY), 0.6)
    assert give(asked, 0.7).answers[KEY]["answer"] == 0.7
    predicted(KEY, 0.97)
    assert give(asked, 0.95).answers[KEY]["answer"] == 0.7
    assert asked.message == "This was measured already, so your prediction stands."
    assert file_of(cache)[0]["answer"] == 0.7


def test_an_answer_after_the_measurement_is_kept_as_late(cache):
    predicted(KEY, 0.97)
    assert give(predict(KEY), 0.95).answers[KEY]["late"] is True
    assert file_of(cache)[0]["late"] == 1


@pytest.mark.parametrize("value", [float("nan"), 99, "much", None, [], True])
def test_what_is_no_answer_is_one_sentence_and_changes_nothing(cache, value):
    asked = give(give(predict(KEY), 0.6), value)
    assert asked.answers[KEY]["answer"] == 0.6 and asked.message.count(".\n") == 0 and asked.message.endswith(".")
    assert len(file_of(cache)) == 1


@pytest.mark.parametrize("given", [[1], ["05.one_sheet"], [KEY, 0.5, False, 1, 1], ["<script>", 1, False, 1]])
def test_a_broken_message_of_a_page_is_one_sentence(cache, given):
    asked = predict(KEY)
    asked.given = given
    assert asked.message.endswith(".") and asked.answers == {} and not cache.exists()


def test_a_prediction_that_cannot_be_saved_is_shown_with_a_sentence(cache):
    cache.write_text("a file where a folder should be", encoding="utf-8")
    asked = give(predict(KEY), 0.6)
    assert asked.answers[KEY]["answer"] == 0.6 and "shown, not saved" in asked.message


def test_what_is_stored_in_a_notebook_holds_no_answer_of_anybody():
    """nbval compares texts: they must be the same before and after somebody predicts."""

    def stored():
        views = [predict(KEY), predicted(KEY, 0.97), predictions("05")]
        bundles = [view._repr_mimebundle_()[0] for view in views]
        return [(data["text/plain"], data.get("text/html")) for data in bundles]

    before = stored()
    asking._MEASURED.clear()
    give(predict(KEY), 0.6, sure=True)
    assert stored() == before
    assert before[1][0] == "<PredictionView 05.one_sheet: measured 0.97>"


def test_a_lesson_is_summed_up_with_what_was_measured():
    give(predict(KEY), 0.3)
    predicted(KEY, 0.97)
    whole = predictions("05")
    assert len(whole.questions) == 14 and set(whole.measured) == set(whole.answers) == {KEY}


def test_a_measurement_that_is_none_is_refused():
    with pytest.raises(ValueError, match="05.one_sheet was measured as nan"):
        predicted(KEY, float("nan"))
