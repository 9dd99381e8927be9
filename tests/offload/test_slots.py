"""Slots: each policy on traces that a hand can follow, and none better than the one that knows the future."""

import re
from itertools import combinations

import numpy as np
import pytest

from moe_lessons.offload import POLICIES, Slots, covered, most_used, replay


def asked(*experts: int) -> np.ndarray:
    """One layer whose tokens ask for one expert each."""
    return np.array(experts)[None, :, None]


def hits(experts: np.ndarray, slots: int, policy: str, n_experts: int = 4, **more) -> list[int]:
    """The turns at which one expert a token was there."""
    return np.flatnonzero(replay(experts, n_experts, slots, policy, **more).hit[0, :, 0]).tolist()


def random_trace(seed: int, layers: int = 2, tokens: int = 40, n_experts: int = 6, top_k: int = 2) -> np.ndarray:
    """Choices with favorites and with a memory, so that the policies differ."""
    rng = np.random.default_rng(seed)
    favor = rng.gumbel(size=(layers, 1, n_experts)) + np.repeat(rng.normal(size=(layers, 8, n_experts)), 5, axis=1)
    wanted = favor[:, :tokens] + rng.gumbel(size=(layers, tokens, n_experts))
    return np.argsort(-wanted, axis=-1)[..., :top_k]


# Two slots. 0 and 1 are fetched; 2 pushes out 0 under LRU (used longest ago) and 1 under LFU (used less often).
STORY = asked(0, 0, 1, 2, 0, 1)


def test_lru_sends_away_whom_nobody_asked_for_longest():
    assert hits(STORY, 2, "lru") == [1]
    replayed = replay(STORY, 4, 2, "lru")
    assert replayed.holds[0].tolist() == [[0, -1], [0, -1], [0, 1], [2, 1], [2, 0], [1, 0]]
    assert replayed.loads[0].tolist() == [1, 0, 1, 1, 1, 1]


def test_lfu_sends_away_whom_fewest_asked_for():
    assert hits(STORY, 2, "lfu") == [1, 4]


def test_belady_sends_away_whom_it_needs_last():
    assert hits(STORY, 2, "belady") == [1, 4]
    assert hits(asked(0, 1, 2, 1, 0), 2, "belady") == [3]  # 2 must come in; 0 is needed later than 1


def test_pinned_experts_stay_once_they_are_there():
    # Two slots for one expert a token: one is pinned, which the other text says is 1.
    calibration = asked(1, 1, 2)
    assert hits(asked(1, 0, 2, 3, 1, 2, 1), 2, "pinned", calibration=calibration) == [4, 6]
    assert hits(asked(1, 0, 2, 3, 1, 2, 1), 2, "lru") == [6]


def test_with_as_many_slots_as_experts_each_expert_is_fetched_once():
    trace = random_trace(0)
    for policy in POLICIES:
        replayed = replay(trace, 6, 6, policy, calibration=trace)
        assert replayed.loads.sum(axis=1).tolist() == [len(np.unique(layer)) for layer in trace]


def fewest_loads(requests: np.ndarray, slots: int) -> int:
    """By trying everything: the fewest fetches with which each token has its experts in the slots."""
    best = {frozenset(): 0}
    for wanted in map(frozenset, requests.tolist()):
        following: dict[frozenset, int] = {}
        for held, cost in best.items():
            spare = sorted(held - wanted)
            room = min(slots - len(wanted), len(spare))
            for size in range(room + 1):
                for stay in combinations(spare, size):
                    now = wanted | set(stay)
                    following[now] = min(following.get(now, 10**9), cost + len(wanted - held))
        best = following
    return min(best.values())


@pytest.mark.parametrize("seed", range(12))
def test_belady_fetches_as_few_as_can_be(seed):
    trace = random_trace(seed, layers=1, tokens=14, n_experts=5)
    for slots in (2, 3, 4):
        assert replay(trace, 5, slots, "belady").loads.sum() == fewest_loads(trace[0], slots)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_no_policy_is_better_than_beladys(seed, shared):
    trace, other = random_trace(seed), random_trace(seed + 100)
    for slots in (2, 3, 4, 5):
        loads = {
            policy: replay(trace, 6, slots, policy, shared=shared, calibration=other, seed=seed).loads.sum()
            for policy in POLICIES
        }
        assert loads["belady"] == min(loads.values())


def test_shared_slots_are_asked_layer_after_layer_within_a_token():
    # Two layers, one expert each, always the same: one slot for both is useless, one slot for each is perfect.
    trace = np.zeros((2, 5, 1), dtype=int)
    assert replay(trace, 3, 1, "lru", shared=True).hit.sum() == 0
    assert replay(trace, 3, 1, "lru").hit.sum() == 2 * 4
    both = replay(trace, 3, 2, "lru", shared=True)
    assert both.hit.sum() == 2 * 4 and both.holds.shape == (2, 5, 2)
    assert both.holds[1, 0].tolist() == [0, 3]  # after layer 1's turn: expert 0 of layer 0 and expert 0 of layer 1


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_asked_for_is_there_after_its_turn_and_no_slot_is_doubled(policy):
    trace = random_trace(3, top_k=3)
    replayed = replay(trace, 6, 4, policy, calibration=random_trace(4, top_k=3))
    for layer, rows in enumerate(replayed.holds):
        for token, holds in enumerate(rows):
            full = holds[holds >= 0]
            assert len(set(full.tolist())) == len(full)
            assert set(trace[layer, token].tolist()) <= set(full.tolist())


def test_one_tokens_experts_do_not_push_each_other_out():
    slots = Slots(2)
    assert [load.expert for load in slots.ask([0, 1])] == [0, 1]
    assert [(load.expert, load.slot) for load in slots.ask([2, 3])] == [(2, 0), (3, 1)]
    assert slots.ask([3, 2]) == []


def test_a_list_that_never_changes_covers_what_it_names():
    other = asked(3, 3, 1, 1, 1, 0)
    assert most_used(other[0], 2) == [1, 3]
    assert most_used(np.array([[2, 0]]), 1) == [0]  # a tie
    assert covered(asked(0, 1, 3, 3), other, 2) == 0.75


def test_zero_tokens_have_no_hit_rate():
    empty = replay(np.zeros((2, 0, 2), dtype=int), 4, 2)
    assert np.isnan(empty.hit_rate) and np.isnan(empty.loads_per_token)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"policy": "fifo"}, "policy is 'fifo'"),
        ({"slots": 1}, "slots is 1, but one token's 2"),
        ({"policy": "pinned"}, "needs calibration"),
        ({"policy": "pinned", "calibration": random_trace(1)[:1]}, "calibration has 1 layers, but experts has 2"),
        ({"n_experts": 3}, "outside 0 to 2"),
    ],
)
def test_what_cannot_be_replayed_is_refused_in_one_sentence(change, named):
    arguments = {"n_experts": 6, "slots": 3} | change
    with pytest.raises(ValueError, match=re.escape(named)):
        replay(random_trace(0), **arguments)


def test_too_few_slots_for_a_token_are_refused():
    with pytest.raises(ValueError, match="n_slots is 0"):
        Slots(0)
    with pytest.raises(ValueError, match="asks for 3 experts, but there are 2 slots"):
        Slots(2).ask([0, 1, 2])
