"""A statement shows its number, its bound and whether it holds, and nbval leaves out the measured digits alone."""

import json
import re

import numpy as np
import pytest
import torch

from moe_lessons.authoring.compare import sanitize
from moe_lessons.seeds import SWITCH, run_seed
from moe_lessons.statements import RECORD, measured


def said(capsys, *args, **bound) -> str:
    measured(*args, **bound)
    return capsys.readouterr().out.rstrip("\n")


@pytest.mark.parametrize(
    ("bound", "holding", "broken", "words"),
    [
        ({"above": 0.5}, 0.50001, 0.5, "more than 0.5"),
        ({"below": 0.5}, 0.49999, 0.5, "less than 0.5"),
        ({"at_least": 2}, 2, 1.9999, "at least 2"),
        ({"at_most": 2}, 2, 2.0001, "at most 2"),
        ({"between": (1, 3)}, 3, 3.0001, "between 1 and 3"),
        ({"exactly": 0}, 0, 1, "exactly 0"),
    ],
)
def test_each_bound_holds_up_to_its_limit_and_no_further(capsys, bound, holding, broken, words):
    assert said(capsys, "x", holding, **bound).endswith(f"(the sentence needs {words})")
    assert said(capsys, "x", broken, **bound).endswith(f"(on this machine not so: the sentence needs {words})")


@pytest.mark.parametrize("value", [0.049, 0.0499, 0.04999, 0.0500001, 0.06, 1.0, 99.0, 0.05])
def test_the_number_shown_lies_on_the_side_of_the_bound_where_the_value_lies(capsys, value):
    shown = said(capsys, "x", value, below=0.05)
    number = float(re.match(r"x: (\S+) ", shown)[1])
    assert (number < 0.05) == (value < 0.05) == ("not so" not in shown)


def test_shares_are_shown_in_percent_and_other_units_follow_the_number(capsys):
    assert said(capsys, "x", 0.3125, above=0.05, unit="%") == "x: 31% (the sentence needs more than 5%)"
    assert said(capsys, "x", {"a": 0.5, "b": 1}, above=0, unit="%").startswith("x: a 50%, b 100% (the")
    assert said(capsys, "x", 1.706, below=2, unit="nats") == "x: 1.7 nats (the sentence needs less than 2 nats)"
    assert said(capsys, "x", 12345.6, above=5000) == "x: 12,346 (the sentence needs more than 5,000)"


def test_of_several_values_each_must_hold_and_few_are_listed(capsys):
    missed = "on this machine not so: the sentence needs more than 4 each"
    assert said(capsys, "x", [5.0, 3.9], above=4) == f"x: 5, 3.9 ({missed})"
    assert said(capsys, "x", {"dense": 0.25, "sparse": 0.5}, above=0).startswith("x: dense 0.25, sparse 0.50 (the")
    many = torch.linspace(0.25, 0.75, 30)
    assert said(capsys, "x", many, below=1) == "x: 30 values from 0.25 to 0.75 (the sentence needs less than 1 each)"


def test_what_is_not_a_number_does_not_hold(capsys):
    for bound in ({"above": 0}, {"below": 0}, {"exactly": 0}, {"between": (0, 1)}):
        assert "not so" in said(capsys, "x", float("nan"), **bound)


@pytest.mark.parametrize(
    ("value", "bound", "error", "complaint"),
    [
        (True, {"above": 0}, TypeError, "truth value"),
        (np.array([True]), {"above": 0}, TypeError, "truth value"),
        ("31%", {"above": 0}, ValueError, "hand over a number"),
        ([], {"above": 0}, ValueError, "hand over a number"),
        (1, {}, ValueError, "exactly one"),
        (1, {"above": 0, "below": 2}, ValueError, "exactly one"),
        (1, {"between": (2, 1)}, ValueError, "a low and a high"),
        ({"a: b": 1}, {"above": 0}, ValueError, "no colon"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(value, bound, error, complaint):
    with pytest.raises(error, match=complaint):
        measured("x", value, **bound)


def test_measured_digits_are_left_out_and_words_bounds_and_verdicts_are_not(capsys):
    one, other = (said(capsys, "layer 3: choices changed", v, above=0.05, unit="%") for v in (0.31, 0.0501))
    assert one != other and sanitize(one) == sanitize(other)
    assert "layer 3: choices changed: " in sanitize(one) and "more than 5%" in sanitize(one)
    many = [said(capsys, "seeds", v, at_most=1e-5) for v in ([1e-7, 0, 2.25e-6], [0.000001, 3e-9, 0.0])]
    assert sanitize(many[0]) == sanitize(many[1])
    for changed in (
        said(capsys, "layer 3: choices changed", 0.01, above=0.05, unit="%"),
        said(capsys, "layer 3: choices changed", 0.31, above=0.06, unit="%"),
        said(capsys, "layer 4: choices changed", 0.31, above=0.05, unit="%"),
        said(capsys, "layer 3: choices changed", [0.31], above=0.05, unit="%"),
    ):
        assert sanitize(changed) != sanitize(one)
    assert sanitize("the loss is 2.5 here") == "the loss is 2.5 here"


def test_statements_are_recorded_where_a_file_is_named(tmp_path, monkeypatch, capsys):
    path = tmp_path / "said.jsonl"
    monkeypatch.setenv(RECORD, str(path))
    measured("x", 0.31, above=0.05, unit="%")
    measured("y", [1, 2], exactly=1)
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {"words": "x", "values": [0.31], "bound": "above", "limits": [0.05], "unit": "%", "holds": True}
    assert second["values"] == [1, 2] and second["holds"] is False


def test_one_switch_moves_the_first_weights_and_the_order_of_batches(monkeypatch):
    from moe_lessons import ModelConfig, Transformer
    from moe_lessons.training.batches import Batches

    config = ModelConfig.from_card("course-dense")
    ids = np.arange(5000)

    def drawn():
        return Transformer(config, seed=0).embedding.weight[0], Batches(ids, 2, 8, 0)(0)[0]

    plain = drawn()
    monkeypatch.setenv(SWITCH, "0")
    assert all(map(torch.equal, plain, drawn()))
    monkeypatch.setenv(SWITCH, "2")
    assert not any(map(torch.equal, plain, drawn()))
    assert len({run_seed(seed) for seed in range(1000)} | set(range(1000))) == 2000
    monkeypatch.setenv(SWITCH, "one")
    with pytest.raises(ValueError, match="whole number"):
        run_seed(0)
