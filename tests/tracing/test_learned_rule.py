"""Rules learned from what they did, against the rules that were planted."""

from itertools import product

import numpy as np
import pytest
import torch

from moe_lessons.routing_rule import SCORE_FUNCTIONS, RoutingRule
from moe_lessons.tracing.learned_rule import Evidence, Learned, fits, learn
from moe_lessons.tracing.rule import Knobs, route_with

TOKENS, EXPERTS = 200, 8


def planted(rule: RoutingRule, bias: np.ndarray | None = None, tokens: int = TOKENS, seed: int = 0) -> Evidence:
    """What the rule on arrays makes of random logits."""
    logits = np.random.default_rng(seed).normal(size=(tokens, EXPERTS)).astype(np.float32) * 2
    routed = route_with(logits, bias, Knobs(**rule.as_dict()))
    return Evidence.of(
        torch.from_numpy(logits), torch.from_numpy(routed.experts), torch.from_numpy(routed.weights).float()
    )


WAYS = [
    {"score_function": score, "normalize": normalize, "route_scale": scale}
    for score, normalize, scale in product(SCORE_FUNCTIONS, (True, False), (1.0, 2.5))
]
GROUPS = [{}, {"n_groups": 4, "top_groups": 2}, {"n_groups": 2, "top_groups": 1, "group_score": "max"}]


@pytest.mark.parametrize("groups", GROUPS, ids=str)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_planted_rule_is_found_again_with_its_groups_and_its_bias(way, groups):
    rule = RoutingRule(top_k=3, **way, **groups)
    bias = np.random.default_rng(1).normal(scale=0.3, size=EXPERTS)
    biases = {"gate.of_something_else": torch.randn(EXPERTS), "gate.bias_of_choice": torch.from_numpy(bias)}
    assert learn(planted(rule), {}) == Learned(rule, None)
    assert learn(planted(rule, bias), biases) == Learned(rule, "gate.bias_of_choice")


def test_choices_without_a_rule_teach_none():
    seen = planted(RoutingRule(top_k=3))
    other = torch.stack([torch.randperm(EXPERTS)[:3] for _ in range(TOKENS)])
    assert learn(seen._replace(experts=other), {}) is None
    assert learn(seen._replace(weights=torch.rand(TOKENS, 3)), {}) is None
    assert learn(planted(RoutingRule(top_k=3), tokens=0), {}) is None


def test_weights_of_another_expert_or_one_choice_too_low_are_noticed():
    rule = RoutingRule(top_k=3)
    seen, learned = planted(rule), Learned(rule, None)
    assert fits(learned, seen, {})
    assert not fits(learned, seen._replace(weights=seen.weights.flip(1)), {})
    lower = seen.experts.clone()
    lower[17, 0] = next(expert for expert in range(EXPERTS) if expert not in seen.experts[17])
    assert not fits(learned, seen._replace(experts=lower), {})
    assert not fits(Learned(RoutingRule(top_k=2), None), seen, {})
    assert not fits(Learned(rule, "a bias that is gone"), seen, {})


def test_a_bias_that_never_decided_is_believed_for_its_name_alone():
    rule, tiny = RoutingRule(top_k=3), torch.linspace(0, 1e-9, EXPERTS)
    assert learn(planted(rule), {"scale": tiny}) == Learned(rule, None)
    assert learn(planted(rule), {"expert_bias": tiny}) == Learned(rule, "expert_bias")
    assert learn(planted(rule), {"expert_bias": torch.zeros(EXPERTS)}) == Learned(rule, None)


def test_ties_between_experts_and_between_groups_are_no_contradiction():
    rule = RoutingRule(top_k=3, n_groups=4, top_groups=2, normalize=False)
    seen = planted(rule)
    seen.logits[0] = 0.0
    seen.experts[0] = torch.tensor([7, 6, 2])
    seen.weights[0] = 1 / EXPERTS
    assert learn(seen, {}) == Learned(rule, None)
    seen.experts[0] = torch.tensor([7, 5, 2])  # of three groups, where two are allowed
    assert not fits(Learned(rule, None), seen, {})


def test_bfloat16_is_given_its_last_bits_and_no_more():
    exact = planted(RoutingRule(top_k=3, route_scale=2.5))
    rough = Evidence.of(exact.logits, exact.experts, exact.weights.bfloat16())
    assert learn(rough, {}) == Learned(RoutingRule(top_k=3, route_scale=2.5), None)
    assert learn(rough._replace(weights=rough.weights * torch.linspace(1, 1.2, TOKENS)[:, None]), {}) is None


def test_more_evidence_decides_what_little_could_not():
    rule = RoutingRule(top_k=3, n_groups=4, top_groups=2)
    few = planted(rule, tokens=1, seed=3)
    both = few.joined(planted(rule))
    assert learn(few, {}) != Learned(rule, None)
    assert learn(both, {}) == Learned(rule, None) and len(both.logits) == TOKENS + 1
    assert few.joined(Evidence(torch.zeros(2, 5), torch.zeros(2, 3).long(), torch.zeros(2, 3), 0.0)) is few
