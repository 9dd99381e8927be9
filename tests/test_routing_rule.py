"""The routing rule is one value, wherever it is followed: tensors, arrays and JavaScript agree on what it says."""

import itertools
import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from in_node import javascript
from safetensors.numpy import load_file, save_file

from moe_lessons.config import ModelConfig, MoEConfig
from moe_lessons.model.capacity import capacity
from moe_lessons.model.router import Router
from moe_lessons.resources import data_path
from moe_lessons.routing_rule import GROUP_SCORES, SCORE_FUNCTIONS, SETTINGS, RoutingRule, slots_per_expert
from moe_lessons.tracing import RoutingTrace
from moe_lessons.tracing.rule import Knobs, route_with

RULES = [
    RoutingRule(top_k=3, score_function=score, normalize=normalize, route_scale=scale)
    for score, normalize, scale in itertools.product(SCORE_FUNCTIONS, (True, False), (1.0, 2.5))
]
FULL = RoutingRule(
    top_k=3, score_function="sigmoid", normalize=False, route_scale=2.5, n_groups=4, top_groups=2, group_score="max"
)


def sizes(rule: RoutingRule) -> MoEConfig:
    return MoEConfig(n_routed_experts=12, hidden_dim=4, **rule.as_dict())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"top_k": 0}, "top_k is 0, but must be a whole number of at least 1"),
        ({"top_k": True}, "top_k is True, but must be a whole number of at least 1"),
        ({"n_groups": 0}, "n_groups is 0, but must be a whole number of at least 1"),
        ({"top_groups": 1.5}, "top_groups is 1.5, but must be a whole number of at least 1"),
        ({"route_scale": 0.0}, "route_scale is 0.0, but must be above 0 and finite; 1 is usual"),
        ({"group_score": "mean"}, "group_score is 'mean', but must be 'top2' or 'max'"),
    ],
)
def test_a_rule_refuses_nonsense_in_the_same_sentence_whoever_holds_it(settings, sentence):
    for hold in (RoutingRule, Knobs, lambda **rest: MoEConfig(n_routed_experts=4, hidden_dim=4, **rest)):
        with pytest.raises(ValueError) as error:
            hold(**({"top_k": 2} | settings))
        assert str(error.value) == sentence


def test_an_unknown_score_function_is_refused_with_the_names_of_all_others():
    with pytest.raises(ValueError, match="score_function is 'relu', but must be 'softmax'") as error:
        RoutingRule(top_k=1, score_function="relu")
    assert all(repr(name) in str(error.value) for name in SCORE_FUNCTIONS)


@pytest.mark.parametrize(
    ("settings", "n_experts", "off", "sentence"),
    [
        ({}, 0, (), "there are zero experts"),
        ({}, 1, (), "top_k is 2, but must be from 1 to the 1 experts"),
        ({"top_groups": 2}, 4, (), "top_groups is 2, but must be from 1 to n_groups = 1"),
        ({"n_groups": 3}, 4, (), "n_groups is 3, but must divide the 4 experts into equal parts"),
        ({"n_groups": 4, "top_groups": 2}, 4, (), "n_groups is 4, which leaves one expert to a group"),
        ({}, 4, (4,), "expert 4 cannot be switched off: the experts are 0 to 3"),
        ({}, 4, (1, 2, 3), "3 of 4 experts are off, which leaves too few for top_k 2"),
        ({"n_groups": 2}, 4, (1,), "top_k is 2, but 1 of 2 groups may have only 1 experts to choose from"),
    ],
)
def test_a_rule_that_so_many_experts_cannot_follow_is_refused(settings, n_experts, off, sentence):
    with pytest.raises(ValueError, match=sentence):
        RoutingRule(**({"top_k": 2} | settings)).check(n_experts, off)


def test_a_rule_survives_json_and_says_what_a_dictionary_lacks_or_has_too_much():
    assert RoutingRule.from_dict(json.loads(json.dumps(FULL.as_dict()))) == FULL
    assert json.dumps(RoutingRule(top_k=np.int64(3)).as_dict())
    assert RoutingRule.from_dict({"top_k": 3}) == RoutingRule(top_k=3)
    with pytest.raises(ValueError, match="a routing rule has no color; it has: top_k, score_function"):
        RoutingRule.from_dict({"top_k": 3, "color": 1})
    with pytest.raises(ValueError, match="needs top_k"):
        RoutingRule.from_dict({"normalize": False})


def test_a_configuration_has_the_rules_settings_with_the_rules_defaults():
    own = {field.name: field for field in fields(MoEConfig)}
    for field in fields(RoutingRule):
        assert own[field.name].default == field.default and own[field.name].type == field.type
    assert sizes(FULL).rule == FULL and Router(8, sizes(FULL)).rule == FULL


def test_the_router_the_trace_and_the_knobs_hold_the_same_rule(tmp_path):
    trace = RoutingTrace.from_logits(np.zeros((1, 2, 12)), ["a", "b"], **FULL.as_dict())
    assert trace.rule == FULL and trace.knobs == Knobs(**FULL.as_dict()) and trace.knobs.as_dict() == FULL.as_dict()
    assert RoutingTrace.load(trace.save(tmp_path / "trace")).rule == FULL
    for holder in (trace, Router(8, sizes(FULL))):
        assert {name: getattr(holder, name) for name in SETTINGS} == FULL.as_dict()
        holder.n_groups, holder.top_groups = 1, 1  # one after the other: what lies between needs to fit nothing
        assert holder.rule == replace(FULL, n_groups=1, top_groups=1)
        with pytest.raises(ValueError, match="top_k is 0"):
            holder.top_k = 0
        assert holder.top_k == 3


def test_a_trace_from_before_there_were_groups_is_read(tmp_path):
    path = RoutingTrace.from_logits(np.zeros((1, 2, 3)), ["a", "b"], top_k=2).save(tmp_path / "trace")
    header = {"pieces": ["a", "b"], "layers": [0], "top_k": 2, "score_function": "sigmoid", "normalize": False}
    metadata = {"format": "moe-lessons-trace-1", "trace": json.dumps(header | {"route_scale": 2.5, "model": "old"})}
    save_file(load_file(path), tmp_path / "old.safetensors", metadata=metadata)
    old = RoutingTrace.load(tmp_path / "old.safetensors")
    assert old.rule == RoutingRule(top_k=2, score_function="sigmoid", normalize=False, route_scale=2.5)
    assert old.model == "old"


def test_a_checkpoint_from_before_there_were_groups_is_read():
    config = json.loads(data_path("checkpoints/course-moe.json").read_text(encoding="utf-8"))["config"]
    assert "n_groups" not in config["moe"] and "score_function" in config["moe"]
    read = ModelConfig.from_dict(config)
    assert read.moe.rule == RoutingRule(top_k=2)
    assert list(read.to_dict()["moe"])[:3] == ["n_routed_experts", "top_k", "hidden_dim"]  # flat, as it always was
    assert ModelConfig.from_dict(read.to_dict()) == read


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_tensors_and_arrays_are_scored_and_weighed_alike(rule):
    logits = np.random.default_rng(0).normal(size=(50, 12)) * 8
    on_tensors, on_arrays = rule.scores(torch.from_numpy(logits)), rule.scores(logits)
    np.testing.assert_allclose(on_tensors.numpy(), on_arrays, rtol=1e-12)
    chosen = on_arrays[:, :3]
    np.testing.assert_allclose(rule.weigh(torch.from_numpy(chosen)).numpy(), rule.weigh(chosen), rtol=1e-12)
    by_hand = [[rule.route_scale * s / (sum(row) if rule.normalize else 1) for s in row] for row in chosen.tolist()]
    np.testing.assert_allclose(rule.weigh(chosen), by_hand, rtol=1e-9)


@pytest.mark.parametrize("group_score", GROUP_SCORES)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_router_follows_the_rule_as_arrays_do(rule, group_score):
    rule = replace(rule, n_groups=4, top_groups=2, group_score=group_score)
    router = Router(8, sizes(rule))
    torch.nn.init.normal_(router.weight, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = router(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)))
    got = route_with(want.logits.numpy(), None, Knobs(**rule.as_dict()))
    assert np.array_equal(got.experts, want.experts.numpy())
    np.testing.assert_allclose(got.scores, want.scores.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(got.weights, want.weights.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("score_function", SCORE_FUNCTIONS)
def test_far_logits_have_finite_weights_and_slopes(score_function):
    rule = RoutingRule(top_k=2, score_function=score_function)
    logits = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [-300.0, -200.0, -100.0]], requires_grad=True)
    weights = rule.weigh(rule.scores(logits)[:, :2])
    weights.sum().backward()
    assert weights.isfinite().all() and logits.grad.isfinite().all()
    assert np.isfinite(rule.weigh(rule.scores(logits.detach().double().numpy())[:, :2])).all()


def test_the_browser_knows_the_same_score_functions_and_reads_a_rule(node):
    names, rule = javascript(node, "shared/routing_rule", "[m.SCORE_FUNCTIONS, m.ruleOf(value)]", FULL.as_dict())
    assert tuple(names) == SCORE_FUNCTIONS
    assert rule == {
        "topK": 3,
        "scoreFunction": "sigmoid",
        "normalize": False,
        "routeScale": 2.5,
        "nGroups": 4,
        "topGroups": 2,
        "groupScore": "max",
    }


def test_the_browser_scores_and_weighs_as_arrays_do(node):
    logits = np.random.default_rng(0).normal(size=(20, 5)) * np.logspace(-1, 3, 20)[:, None]
    logits[0] = 0
    expression = """value.logits.map((row) => {
        const scores = Float64Array.from(row);
        m.SCORES[value.rule.score_function](scores, 0, scores.length);
        const weights = scores.slice(0, 3);
        m.weigh(weights, 0, 3, m.ruleOf(value.rule));
        return [[...scores], [...weights]];
    })"""
    for rule in RULES:
        value = {"logits": logits.tolist(), "rule": rule.as_dict()}
        answers = javascript(node, "shared/routing_rule", expression, value)
        scores, weights = (np.array(part) for part in zip(*answers, strict=True))
        np.testing.assert_allclose(scores, rule.scores(logits), rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(weights, rule.weigh(rule.scores(logits)[:, :3]), rtol=1e-12, atol=1e-300)


def test_slots_are_counted_the_same_everywhere(node):
    cases = list(itertools.product((0.25, 1.0, 1.1, 1.25, 2.0), (1, 10, 77), (1, 3), (4, 7)))
    there = javascript(node, "shared/routing_rule", "value.map((one) => m.slotsPerExpert(...one))", cases)
    for (factor, tokens, top_k, n_experts), slots in zip(cases, there, strict=True):
        assert slots == slots_per_expert(factor, tokens, top_k, n_experts) == capacity(tokens, top_k, n_experts, factor)
