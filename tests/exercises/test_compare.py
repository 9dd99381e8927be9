"""When two results count as the same, and how a difference is shown."""

import re

import numpy as np
import pytest
import torch
from every_exercise import ALL

from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.exercises.compare import difference, same, show

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize(
    ("yours", "expected", "verdict"),
    [
        (1, 1.0, True),
        (np.float64(2.0), 2.0, True),
        (torch.tensor(2.0), 2.0, True),
        (2.0 + 1e-9, 2.0, True),
        (2.01, 2.0, False),
        ((1, 2), [1, 2], True),
        ([1, 2, 3], [1, 2], False),
        (torch.tensor([1.0]), np.array([1.0]), False),
        (torch.tensor([1]), torch.tensor([1.0]), False),
        (torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0], dtype=torch.bfloat16), True),
        (torch.empty(0, 3), torch.empty(0, 3), True),
        (2**80, 2**80, True),
    ],
)  # fmt: skip
def test_results_are_compared_by_what_they_mean(yours, expected, verdict):
    assert same(yours, expected) is verdict


def test_values_are_shown_short_and_without_noise():
    assert show(torch.tensor([1.0, 0.333333])) == "[1, 0.3333]"
    assert show(torch.zeros(3, 4)) == "shape [3, 4]"
    assert show((1,)) == "(1,)" and len(show("x" * 500)) <= 72


def test_digits_are_added_until_both_sides_differ():
    line = examine("01.floor", lambda probabilities: round(find("01.floor").reference(probabilities), 3)).line
    assert "you have 1.04, expected 1.0397" in line
    assert (
        difference((torch.zeros(2), [1.00001, 3]), (torch.zeros(2), [2.0, 3]))
        == "in item 1 you have [1, 3], expected [2, 3]"
    )
    near = torch.tensor([1.0, 2.0001], dtype=torch.float64), torch.tensor([1.0, 2.0004], dtype=torch.float64)
    assert difference(*near) == "at [1] you have 2.0001, expected 2.0004"


@pytest.mark.parametrize("name", ALL)
def test_no_message_prints_the_same_on_both_sides(name):
    for mistake in find(name).mistakes.values():
        both = re.search(r"you have (.+), expected (.+)\.$", examine(name, mistake).line)
        assert both is None or both[1] != both[2]


def test_several_tensors_are_shown_by_their_shapes():
    line = examine(
        "03.swiglu", lambda hidden, gate, up, down: hidden + find("03.swiglu").reference(hidden, gate, up, down)
    ).line
    assert "For hidden of shape [1, 2], gate [3, 2], up [3, 2], down [2, 3] " in line
