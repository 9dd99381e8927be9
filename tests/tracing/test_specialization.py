"""How much of a routing is explained, against sums written out and labels that know nothing or everything."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.tracing.specialization import entropy, mutual_information, share_explained

SMALL = st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=60)


def written_out(a, b) -> float:
    """Mutual information as three entropies, each a sum over a dictionary of counts."""

    def h(values) -> float:
        return -sum(n / len(values) * math.log(n / len(values)) for n in Counter(values).values())

    return h(a) + h(b) - h(list(zip(a, b, strict=True)))


@given(SMALL)
def test_mutual_information_is_the_sum_of_entropies_less_the_joint_one(rows):
    a, b, _ = zip(*rows, strict=True)
    assert mutual_information(np.array(a), np.array(b)) == pytest.approx(written_out(a, b), abs=1e-9)


@given(SMALL)
def test_mutual_information_is_symmetric_and_at_most_either_entropy(rows):
    a, b, _ = (np.array(column) for column in zip(*rows, strict=True))
    told = mutual_information(a, b)
    assert told == pytest.approx(mutual_information(b, a), abs=1e-12)
    assert told <= min(entropy(a), entropy(b)) + 1e-9


@given(SMALL)
def test_a_share_beyond_a_known_label_adds_up_to_the_share_of_both(rows):
    a, b, c = (np.array(column) for column in zip(*rows, strict=True))
    both = b * 10 + c
    alone, beyond, together = share_explained(a, c), share_explained(a, b, given=c), share_explained(a, both)
    assert alone.raw + beyond.raw == pytest.approx(together.raw, abs=1e-9)


def test_two_coins_tell_nothing_of_each_other_and_all_of_themselves():
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert mutual_information(a, b) == 0
    assert entropy(a) == pytest.approx(math.log(2))


def test_labels_that_decide_the_expert_explain_all_of_it_and_random_ones_nothing():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 500, 5000)  # so many values that the plain count is fooled
    decided, random = share_explained(labels % 8, labels), share_explained(rng.integers(0, 8, 5000), labels)
    assert decided.explained == pytest.approx(1)
    assert random.raw > 0.1 and abs(random.explained) < 0.02


def test_a_label_that_only_repeats_what_is_known_explains_nothing_more():
    rng = np.random.default_rng(1)
    token = rng.integers(0, 50, 4000)
    topic = np.where(rng.random(4000) < 0.8, token % 4, rng.integers(0, 4, 4000))  # leans on the token
    experts = np.where(rng.random(4000) < 0.9, token % 8, rng.integers(0, 8, 4000))  # follows the token alone
    assert share_explained(experts, topic).explained > 0.2
    assert abs(share_explained(experts, topic, given=token).explained) < 0.02


def test_what_only_two_labels_together_decide_is_explained_by_the_second_once_the_first_is_known():
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 2, (2, 4000))
    assert abs(share_explained(first ^ second, second).explained) < 0.01
    assert share_explained(first ^ second, second, given=first).explained == pytest.approx(1, abs=0.01)


def test_an_expert_that_takes_all_leaves_nothing_to_explain():
    assert share_explained(np.zeros(10, int), np.arange(10)) == (0, 0, 0)


def test_the_same_seed_gives_the_same_chance():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 8, (2, 300))
    assert share_explained(a, b, seed=5) == share_explained(a, b, seed=5)


@pytest.mark.parametrize("a, b", [([0, 1], [0]), ([], [])])
def test_labels_that_do_not_fit_together_are_refused(a, b):
    with pytest.raises(ValueError, match="for every sample"):
        mutual_information(np.array(a, int), np.array(b, int))
    with pytest.raises(ValueError, match="for every sample"):
        share_explained(np.array(a, int), np.array(b, int))


def test_a_known_label_of_another_length_and_no_shuffle_are_refused():
    with pytest.raises(ValueError, match="for every sample"):
        share_explained(np.array([0, 1]), np.array([0, 1]), given=np.array([0]))
    with pytest.raises(ValueError, match="shuffles is 0"):
        share_explained(np.array([0, 1]), np.array([0, 1]), shuffles=0)
