"""Questions: sound files, measurements that fit them, and numbers as a reader sees them."""

import numpy as np
import pytest
import torch

import moe_lessons.predictions.question as questions
from moe_lessons.predictions.question import Question, lessons, question, questions_of, rounded, with_unit

CHOICE = Question(
    key="05.a", ask="?", kind="choice", measure="m", expected=("low",), choices=("low", "middle", "high"), cuts=(1, 2)
)
SHARE = Question(key="05.b", ask="?", kind="slider", measure="m", expected=(0, 1), high=100.0, unit="%", within=10.0)


@pytest.mark.parametrize("lesson", lessons())
def test_a_question_is_short_and_asks(lesson):
    for one in questions_of(lesson).values():
        assert len(one.ask) <= 130 and one.ask.count("?") >= 1, one.ask
        assert len(one.choices) <= 5 and all(len(choice) <= 40 for choice in one.choices)


@pytest.mark.parametrize("lesson", lessons())
def test_a_slider_has_steps_of_one_size_and_what_is_right_is_a_part_of_it(lesson):
    for one in questions_of(lesson).values():
        if one.kind != "choice" and not one.log:
            steps = (one.high - one.low) / one.step
            assert abs(steps - round(steps)) < 1e-9 and 2 <= steps <= 120, one.key
            assert 2 * one.within < 0.5 * (one.high - one.low), f"{one.key}: half of the scale would be right"
        if one.kind != "choice":
            assert one.low <= one.expected[0] <= one.expected[1] <= one.high, one.key


def test_a_measured_number_is_placed_between_the_cuts():
    assert [CHOICE.place(value) for value in (-5, 0.999, 1, 1.5, 2, 1e9)] == [0, 0, 1, 1, 2, 2]
    assert CHOICE.place("high") == 2 and CHOICE.measured_as("high") == "high"
    assert CHOICE.measured_as(1.25) == "middle (1.25)"


def test_a_share_is_seen_in_percent_and_tensors_are_numbers():
    assert SHARE.place(0.25) == SHARE.place(torch.tensor(0.25)) == SHARE.place(np.float64(0.25)) == 25
    assert SHARE.measured_as(0.125) == "12.5%"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, [1.0], "other"])
def test_what_is_no_measurement_is_refused(value):
    with pytest.raises(ValueError, match="05.b was measured as"):
        SHARE.place(value)


def slider(**scale) -> Question:
    return Question(key="05.s", ask="?", kind="slider", measure="m", expected=(1, 2), **scale)


def test_a_place_on_a_scale_of_steps_and_of_ratios():
    assert slider(low=0.0, high=10.0, within=1.0).share(2.5) == 0.25
    ratios = slider(low=1.0, high=100.0, log=True, factor=2.0)
    assert ratios.share(10) == pytest.approx(0.5)
    assert slider(low=0.0, high=10.0, within=1.0).share(-3) == 0 and ratios.share(1000) == 1 and ratios.share(0) == 0


def test_a_choice_without_cuts_takes_words_alone():
    one = Question(key="05.c", ask="?", kind="choice", measure="m", expected=("a",), choices=("a", "b"))
    with pytest.raises(ValueError, match="hand over one of: a, b"):
        one.place(1)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.5, "0.5"), (1234.6, "1,235"), (12.25, "12.3"), (0.000512, "0.000512"), (-2.5, "-2.5"), (30, "30")],
)
def test_a_number_has_three_digits_that_count(number, text):
    assert rounded(number) == text


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        *(("1", "experts", "1 expert"), ("4", "experts", "4 experts"), ("0", "bars", "0 bars"), ("1", "%", "1%")),
        *(("1", "times", "1 times"), ("1", "ms", "1 ms"), ("1", "nats per token", "1 nats per token"), ("1", "", "1")),
    ],
)
def test_one_of_a_unit_is_said_in_the_singular(text, unit, said):
    assert with_unit(text, unit) == said


def test_an_unknown_question_names_those_that_there_are():
    with pytest.raises(ValueError, match="no question '05.nothing'; those of its lesson are: 05.one_sheet"):
        question("05.nothing")
    with pytest.raises(ValueError, match="no predictions for lesson '99'; there are for: .*05"):
        questions_of("99")


@pytest.mark.parametrize("key", ["", "05", "05.", "05.<script>", "../05.a", "05.A", 5, None, "05." + "a" * 99])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match="names no question"):
        question(key)


GOOD = {
    "ask": '"?"',
    "kind": '"slider"',
    "measure": '"m"',
    "expected": "[1, 2]",
    "low": "0",
    "high": "3",
    "within": "1",
}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ask": None}, "missing 1 required keyword-only argument: 'ask'"),
        ({"hint": "1"}, "unexpected keyword argument 'hint'"),
        ({"kind": '"sketch"'}, "kind is 'sketch', but it must be one of"),
        ({"measure": '" "'}, "needs `ask`, `measure` and `expected`"),
        ({"high": "0"}, "`low` must lie below `high`"),
        ({"log": "true"}, "`low` must lie below `high`, above 0"),
        ({"within": "0"}, "either `within`, above 0, or `factor`"),
        ({"factor": "2"}, "either `within`, above 0, or `factor`"),
        ({"kind": '"choice"', "choices": '["a", "a"]'}, "two different `choices`"),
        ({"kind": '"choice"', "choices": '["a", "b", "c"]', "cuts": "[2, 1]"}, "`cuts` must rise"),
        ({"kind": '"choice"', "choices": '["a", "b", "c"]', "cuts": "[1]"}, "one fewer than there are choices"),
    ],
)
def test_an_unsound_question_is_named_with_its_file(changes, sentence, tmp_path, monkeypatch):
    (tmp_path / "predictions").mkdir()
    lines = [f"{name} = {value}" for name, value in (GOOD | changes).items() if value is not None]
    (tmp_path / "predictions" / "55.toml").write_text("\n".join(["[a]", *lines]), encoding="utf-8")
    monkeypatch.setattr(questions, "data_path", lambda name: tmp_path / name)
    with pytest.raises(ValueError) as error:
        questions_of("55")
    assert str(error.value).startswith("data/predictions/55.toml, 55.a: ") and sentence in str(error.value)


def test_a_file_that_is_no_toml_is_named(tmp_path, monkeypatch):
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "55.toml").write_text("[a", encoding="utf-8")
    monkeypatch.setattr(questions, "data_path", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match="data/predictions/55.toml is not valid TOML"):
        questions_of("55")
