"""What all wrong results have in common is named, and only where it holds everywhere."""

import math

import numpy as np
import pytest

from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.exercises.patterns import pattern

pytestmark = pytest.mark.usefixtures("cache")


PATTERNS = [
    ("00.active_share", lambda right: 3 * right, "All your results are 3 times what was expected."),
    ("00.active_share", lambda right: right / 1024, "All your results are 1/1024 of what was expected."),
    ("00.active_share", lambda right: -right, "All your results have the wrong sign."),
    ("11.ahead_loss", lambda right: right / math.log(2),
     "All your results are 1.443 times what was expected (a logarithm to the base 2?)."),
    ("12.training_price", lambda right: (right[0] * 60, right[1] * 60),
     "All your results are 60 times what was expected (minutes where hours are wanted?)."),
    ("12.training_price", lambda right: (right[0] / 24, right[1]),
     "Only item 0 of the result is wrong. All its numbers are 1/24 of what was expected."),
    ("06.after_dropping", lambda right: right[::-1], "The two parts of the result are swapped."),
    ("09.cut", lambda right: (right[1], right[0], *right[2:]), "your items [1, 0, 2, 3]"),
    ("11.leftover", lambda right: right.flip(0), "These are the right numbers, but each row is in reverse order."),
    ("12.frontier", sorted, "These are the right numbers, but in another order."),
    ("09.machines", lambda right: right - 1, "All your results are 1 too small."),
    ("00.expert_pairs", lambda right: right + 2, "All your results are 2 too large."),
    ("04.bits_per_byte", lambda right: round(right, 2), "Your results are rounded to 2 decimals"),
    ("07.max_over_mean", int, "Your results are cut down to whole numbers"),
    ("00.active_share", lambda right: 1 - right, "In every case you have 1 minus what was expected."),
    ("00.active_share", lambda right: 1 / right, "In every case you have 1 divided by what was expected."),
    ("01.floor", math.exp, "In every case you have e to the power of what was expected."),
    ("07.chosen_weights", lambda right: right / right.amax(-1, keepdim=True), "Each row is off by a factor of its own"),
    ("06.first_come", lambda right: ~right, "Every answer is the opposite of what was expected."),
    ("10.absorbing_is_cheaper", lambda right: True, "Every answer is True, whatever the input."),
    ("06.first_come", lambda right: right & (right.cumsum(0) == 1), "You have False wherever that is right, and in"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"), PATTERNS, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(PATTERNS)]
)
def test_what_all_results_have_in_common_is_named(name, spoil, sentence):
    reference = find(name).reference
    assert sentence in examine(name, lambda *case: spoil(reference(*case))).line


def test_a_factor_of_its_own_in_each_case_is_traced_to_an_argument():
    def share(common, per_expert, n_experts, top_k):
        return n_experts * find("00.active_share").reference(common, per_expert, n_experts, top_k)

    assert "In every case you have what was expected times n_experts." in examine("00.active_share", share).line


@pytest.mark.parametrize(
    ("yours", "expected"),
    [
        ([0, 0, 0], [0, 0, 0]),  # all zero: any factor would do
        ([3, 3, 3], [1, 1, 1]),  # one expected number: three times it, 2 more than it, and anything else
        ([6, 0, 1], [2, 0, 3]),
        ([2.0, 4.0, 6.5], [1.0, 2.0, 3.0]),
        ([np.array([1, 2]), np.array([4, 4])], [np.array([2, 1]), np.array([4, 3])]),  # reversed once, not twice
        ([np.array([True, False]), np.array([True, True])], [np.array([False, True]), np.array([True, True])]),
        ([float("nan"), 2.0], [1.0, 2.0]),
        ([np.array([1.0]), np.array([2.0])], [np.array([1.0, 1.0]), np.array([2.0])]),
        (["a", "b"], ["b", "a"]),
        ([(1, 2), (3, 4)], [(2, 1), (3, 4)]),
    ],
)  # fmt: skip
def test_no_rule_speaks_where_it_does_not_hold_everywhere(yours, expected):
    assert pattern(yours, expected, [{} for _ in expected]) == ""
