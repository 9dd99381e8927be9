"""Exercises are found by name and listed with their tasks."""

import io
import sys

import pytest

from moe_lessons.exercises import check, exercises
from moe_lessons.exercises.catalog import find

pytestmark = pytest.mark.usefixtures("cache")


def test_an_unknown_name_lists_the_lessons_exercises():
    with pytest.raises(ValueError, match=r"no exercise '01\.merg'; lesson 01 has: .*01\.merge"):
        check("01.merg", None)
    with pytest.raises(ValueError, match="no lesson '77' with exercises; the lessons with exercises are: 00, 01"):
        exercises("77")
    with pytest.raises(ValueError, match=r"such as '01\.merge'"):
        check("merge", None)


def test_the_list_of_exercises_shows_tasks_and_signatures():
    listed = exercises("01")
    assert [exercise.name for _, exercise in listed] == [
        "bytes_per_token",
        "merge",
        "encode",
        "floor",
    ]
    assert "merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]" in repr(listed)
    assert "-&gt; list[int]" in listed._repr_html_()
    assert find("03.parameters").signature == "parameters(config: ModelConfig) -> int"
    assert find("08.auxiliary_loss").signature == (
        "auxiliary_loss(logits: Float[Tensor, 'tokens experts'], experts: Int[Tensor, 'tokens top_k'])"
        " -> Float[Tensor, '']"
    )


def test_a_terminal_that_knows_ascii_alone_still_lists_the_exercises(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    print(exercises("01"))
    sys.stdout.seek(0)
    first = sys.stdout.readline()
    assert first.startswith("01.") and "*--" in first
