"""Placing experts by load: cases by hand, what every placement must be, and nothing better found by trying all."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.parallel.placement import Placement, busiest, in_order, pack, place, replicate


@st.composite
def cases(draw) -> tuple[np.ndarray, int, int]:
    """Loads, machines, and slots that fill them."""
    n_machines, each = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    n_experts = n_machines * each
    load = draw(st.lists(st.integers(0, 100), min_size=n_experts, max_size=n_experts))
    return np.array(load), n_machines, n_machines * draw(st.integers(each, n_experts))


def test_a_machine_works_on_what_its_experts_get():
    placement = Placement(np.array([[0, 1], [1, 2]]))
    assert placement.replicas.tolist() == [1, 2, 1]
    assert placement.load(np.array([[4.0, 2.0, 1.0], [0.0, 6.0, 0.0]])).tolist() == [[5.0, 2.0], [3.0, 3.0]]
    assert busiest(np.array([[5.0, 2.0, 2.0], [3.0, 3.0, 3.0]])).tolist() == [5 / 3, 1.0]
    assert in_order(6, 2).experts.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_further_slots_go_to_whoever_carries_most():
    assert replicate(np.array([12, 5, 1]), 3).tolist() == [1, 1, 1]
    assert replicate(np.array([12, 5, 1]), 4).tolist() == [2, 1, 1]
    assert replicate(np.array([12, 5, 1]), 5).tolist() == [3, 1, 1]  # a half of 12 is more than 5
    assert replicate(np.array([12, 5, 1]), 6).tolist() == [3, 2, 1]
    assert replicate(np.array([12, 5, 1]), 6, most=2).tolist() == [2, 2, 2]


def test_the_heaviest_goes_first_and_to_the_lightest_with_room():
    assert pack(np.array([7, 6, 2, 1]), 2).tolist() == [0, 1, 1, 0]
    assert pack(np.array([9, 1, 1, 1]), 2).tolist() == [0, 1, 1, 0]  # the third 1 finds no room beside its like
    assert pack(np.array([5, 5, 1, 0]), 2, np.array([0, 0, 1, 2])).tolist() == [0, 1, 0, 1]
    assert pack(np.array([4, 2, 2, 1]), 2, np.array([0, 1, 1, 2])).tolist() == [0, 1, 0, 1]  # the twins part


def test_placed_by_hand():
    load = np.array([8, 7, 1, 1])  # the two hot ones are neighbors
    assert busiest(in_order(4, 2).load(load)) == pytest.approx(15 / 8.5)
    assert busiest(place(load, 2).load(load)) == pytest.approx(9 / 8.5)
    with_replicas = place(load, 2, 6)
    assert with_replicas.replicas.tolist() == [2, 2, 1, 1]
    assert busiest(with_replicas.load(load)) == 1.0


@given(cases())
def test_machines_are_full_every_expert_has_a_place_and_no_machine_holds_one_twice(case):
    load, n_machines, n_slots = case
    placement = place(load, n_machines, n_slots)
    assert placement.experts.shape == (n_machines, n_slots // n_machines)
    assert placement.replicas.shape == load.shape and placement.replicas.min() >= 1
    assert all(len(set(row)) == len(row) for row in placement.experts.tolist())
    assert placement.load(load).sum() == pytest.approx(load.sum())


@given(cases())
def test_every_expert_everywhere_is_perfect_balance(case):
    load, n_machines, _ = case
    if load.sum():
        assert busiest(place(load, n_machines, n_machines * len(load)).load(load)) == pytest.approx(1)


@given(cases())
def test_replicas_never_hurt_by_more_than_a_third(case):
    load, n_machines, n_slots = case
    if load.sum():
        with_them, without = (busiest(place(load, n_machines, n).load(load)) for n in (n_slots, len(load)))
        assert with_them <= 4 / 3 * without + 1e-9


def test_one_hot_expert_is_worth_as_many_machines_as_it_has_replicas():
    load = np.array([100.0] + [1e-6] * 15)
    for extra in range(4):
        found = busiest(place(load, 4, 16 + 4 * extra).load(load))
        assert found == pytest.approx(4 / min(4, 1 + 4 * extra), abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_numbers_of_copies_leave_a_lighter_heaviest_one(seed):
    rng = np.random.default_rng(seed)
    load, most = rng.integers(0, 50, 4), int(rng.integers(2, 5))
    for n_slots in range(4, 4 * most + 1):
        copies = replicate(load, n_slots, most)
        assert copies.sum() == n_slots and copies.max() <= most
        others = [c for c in itertools.product(range(1, most + 1), repeat=4) if sum(c) == n_slots]
        assert (load / copies).max() == min((load / np.array(c)).max() for c in others)


@pytest.mark.parametrize("seed", range(20))
def test_the_greedy_packing_is_within_a_third_of_the_best(seed):
    weights = np.random.default_rng(seed).pareto(1.5, 6)
    found = np.bincount(pack(weights, 2), weights=weights).max()
    best = min(
        max(weights[list(c)].sum(), weights.sum() - weights[list(c)].sum()) for c in itertools.combinations(range(6), 3)
    )
    assert best <= found + 1e-12 and found <= 4 / 3 * best


def test_groups_stay_within_a_node():
    rng = np.random.default_rng(0)
    for _ in range(30):
        load = rng.pareto(1.0, 24)
        placement = place(load, 8, 32, n_groups=6, n_nodes=2)
        homes = [{expert // 4 for expert in rows.ravel().tolist()} for rows in placement.experts.reshape(2, 4, 4)]
        assert sorted(len(groups) for groups in homes) == [3, 3] and not homes[0] & homes[1]
        assert placement.experts.shape == (8, 4) and placement.replicas.min() >= 1
    even = place(np.arange(16), 4, n_groups=4, n_nodes=2)  # groups of 6, 22, 38 and 54
    assert sorted(set((even.experts[:2] // 4).ravel().tolist())) == [0, 3]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: in_order(6, 4), "n_machines is 4, but must divide the 6 experts into equal parts"),
        (
            lambda: replicate(np.ones(4), 3),
            "n_slots is 3, but 4 experts with at least 1 and at most 3 copies each take",
        ),
        (lambda: replicate(np.ones(4), 9, 2), "n_slots is 9, but 4 experts with at least 1 and at most 2 copies each"),
        (lambda: pack(np.ones(5), 2), "5 items do not fill 2 bins equally"),
        (lambda: place(np.ones(4), 2, 5), "5 slots on the machines, of which there are 2, do not come out equal"),
        (lambda: place(np.ones(4), 0), "4 slots on the machines, of which there are 0, do not come out equal"),
        (lambda: place(np.ones(6), 3, n_groups=2, n_nodes=2), "3 machines on the nodes, of which there are 2, do not"),
        (lambda: place(np.ones(6), 2, n_groups=3, n_nodes=2), "3 groups on the nodes, of which there are 2, do not"),
        (lambda: place(np.ones(4), 2, n_groups=3), "4 experts on the groups, of which there are 3, do not come out"),
        (lambda: place(np.array([1.0, -2.0]), 2), "load is -2.0 for an expert, but counts choices"),
    ],
)
def test_what_does_not_come_out_equal_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        call()
