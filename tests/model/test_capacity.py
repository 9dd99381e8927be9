"""Who finds a slot, against a loop that serves one choice after the other; and what capacity does to causality."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import small_config, small_model, some_tokens
from torch import Tensor

from moe_lessons import MoEConfig, Transformer
from moe_lessons.model.capacity import RULES, capacity, serve, within_capacity
from moe_lessons.model.router import Routing
from moe_lessons.tracing import steer_routing


def slow(experts: Tensor, weights: Tensor, n_experts: int, slots: int, rule: str) -> list[list[bool]]:
    """One choice after the other takes a slot while there is one."""
    tokens, top_k = experts.shape
    free = [slots] * n_experts
    kept = [[False] * top_k for _ in range(tokens)]
    for rank in range(top_k):
        line = list(range(tokens))
        if rule == "priority":
            line.sort(key=lambda token: (-float(weights[token, rank]), token))
        for token in line:
            expert = int(experts[token, rank])
            if rule == "none" or free[expert] > 0:
                kept[token][rank] = True
                free[expert] -= 1
    return kept


def case(n_tokens: int, n_experts: int, top_k: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    experts = torch.rand(n_tokens, n_experts, generator=generator).argsort(dim=1)[:, :top_k]
    # Few different weights, so that there are ties.
    weights = torch.randint(1, 4, (n_tokens, top_k), generator=generator) / 4
    return experts, weights.sort(dim=1, descending=True).values


def routing_of(experts: Tensor, weights: Tensor, n_experts: int) -> Routing:
    scores = torch.zeros(len(experts), n_experts).scatter(1, experts, weights)
    return Routing(weights, experts, scores, scores)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=40)
@given(st.integers(0, 30), st.integers(1, 7), st.integers(1, 7), st.integers(0, 12), st.integers(0, 999))
def test_the_same_choices_find_a_slot_as_in_a_loop(rule, n_tokens, n_experts, top_k, slots, seed):
    experts, weights = case(n_tokens, n_experts, min(top_k, n_experts), seed)
    kept = within_capacity(experts, weights, n_experts, slots, rule)
    assert kept.shape == experts.shape
    assert kept.tolist() == slow(experts, weights, n_experts, slots, rule)


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 3), st.floats(0.1, 3), st.integers(0, 999))
def test_a_rule_decides_who_is_dropped_and_never_how_many(n_tokens, n_experts, top_k, factor, seed):
    experts, weights = case(n_tokens, n_experts, min(top_k, n_experts), seed)
    served = {rule: serve(routing_of(experts, weights, n_experts), factor, rule) for rule in RULES}
    load = torch.bincount(experts.flatten(), minlength=n_experts)
    first, priority, none = (served[rule] for rule in RULES)
    assert first.dropped == priority.dropped == int((load - first.slots).clamp(min=0).sum())
    assert first.padded == priority.padded == int((first.slots - load).clamp(min=0).sum())
    assert (none.slots, none.dropped, none.padded) == (int(load.max()), 0, 0)
    assert none.kept.all()
    for each in (first, priority):
        assert torch.equal(each.routing.weights, weights * each.kept)  # nothing is normalized again
        assert torch.equal(each.routing.experts, experts)


def test_a_first_choice_of_the_last_token_goes_before_a_second_choice_of_the_first():
    experts, weights = torch.tensor([[0, 1], [1, 0]]), torch.tensor([[0.6, 0.4], [0.9, 0.1]])
    assert within_capacity(experts, weights, 2, 1).tolist() == [[True, False], [True, False]]


def test_capacity_is_a_share_rounded_up():
    assert capacity(tokens=10, top_k=2, n_experts=4, factor=1.0) == 5
    assert capacity(tokens=10, top_k=2, n_experts=8, factor=1.0) == math.ceil(20 / 8)
    assert capacity(tokens=10, top_k=2, n_experts=4, factor=1.25) == 7
    assert capacity(tokens=0, top_k=2, n_experts=4, factor=1.25) == 0


def test_zero_tokens_are_served_and_a_gradient_passes_the_kept_weights_alone():
    nothing = serve(routing_of(torch.empty(0, 2, dtype=torch.long), torch.empty(0, 2), 3), 1.0)
    assert (nothing.slots, nothing.dropped, nothing.padded) == (0, 0, 0)
    assert serve(routing_of(torch.empty(0, 2, dtype=torch.long), torch.empty(0, 2), 3), 1.0, "none").slots == 0
    weights = torch.tensor([[0.7], [0.9], [0.8]], requires_grad=True)
    served = serve(routing_of(torch.zeros(3, 1, dtype=torch.long), weights, 2), 1.0, "priority")
    assert (served.slots, served.kept.tolist()) == (2, [[False], [True], [True]])
    served.routing.weights.sum().backward()
    assert weights.grad.tolist() == [[0], [1], [1]]


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf, math.nan])
def test_a_factor_that_makes_no_sense_is_refused_in_one_sentence(factor):
    with pytest.raises(ValueError, match=r"factor is .*must be above 0 and finite"):
        capacity(8, 2, 4, factor)


def test_an_unknown_rule_and_negative_slots_are_refused():
    experts, weights = case(4, 3, 2, 0)
    with pytest.raises(ValueError, match=r"rule is 'fair', but must be one of: first come, priority, none"):
        within_capacity(experts, weights, 3, 2, "fair")
    with pytest.raises(ValueError, match="slots is -1"):
        within_capacity(experts, weights, 3, -1)


# --- what a capacity does to a language model


def build(top_k: int) -> Transformer:
    moe = MoEConfig(n_routed_experts=4, top_k=top_k, hidden_dim=8, normalize=False)
    return small_model(max_length=64, moe=moe).eval()


def logits(model: Transformer, tokens: Tensor, rule: str, factor: float = 0.75) -> Tensor:
    with steer_routing(model, lambda layer, routing: serve(routing, factor, rule).routing), torch.no_grad():
        return model(tokens)


def tokens(batch: int, time: int, *, seed: int) -> Tensor:
    return some_tokens(small_config(), batch, time, seed)


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("rule", RULES)
def test_change_the_suffix_and_the_prefix_keeps_its_logits_only_where_nobody_waits_for_a_slot(rule, top_k):
    model, prefix = build(top_k), tokens(1, 20, seed=0)
    ends = [torch.cat([prefix, tokens(1, 20, seed=seed)], dim=1) for seed in (1, 2, 3, 4)]
    first, *others = (logits(model, text, rule)[:, :20] for text in ends)
    same = all(torch.allclose(first, other, atol=1e-5) for other in others)
    # First come, first served is causal for one choice; with two, later tokens' first choices go before second ones.
    assert same == (rule == "none" or (rule == "first come" and top_k == 1))


@pytest.mark.parametrize("rule", RULES)
def test_another_sequence_in_the_batch_changes_mine_unless_nothing_is_dropped(rule):
    model, mine = build(2), tokens(1, 20, seed=0)
    batches = [torch.cat([tokens(1, 20, seed=seed), mine]) for seed in (1, 2, 3)]
    first, *others = (logits(model, batch, rule)[1] for batch in batches)
    same = all(torch.allclose(first, other, atol=1e-5) for other in others)
    assert same == (rule == "none")


def test_with_room_for_all_a_capacity_changes_nothing():
    model, text = build(2), tokens(2, 20, seed=0)
    for rule in RULES:
        assert torch.allclose(logits(model, text, rule, factor=4.0), logits(model, text, "none"), atol=1e-6)
