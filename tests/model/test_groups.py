"""Choice within groups of experts: the rule written out, Hugging Face's routers, and the bugs that others shipped."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import small_model

from moe_lessons import MoEConfig
from moe_lessons.model.router import Router, within_best_groups
from moe_lessons.tracing import record_routing


@st.composite
def grouped(draw) -> MoEConfig:
    score = draw(st.sampled_from(["top2", "max"]))
    n_groups, size = draw(st.integers(1, 5)), draw(st.integers(2 if score == "top2" else 1, 5))
    top_groups = draw(st.integers(1, n_groups))
    return MoEConfig(
        n_routed_experts=n_groups * size,
        top_k=draw(st.integers(1, top_groups * size)),
        hidden_dim=4,
        score_function=draw(st.sampled_from(["softmax", "sigmoid"])),
        normalize=draw(st.booleans()),
        route_scale=draw(st.sampled_from([1.0, 2.5])),
        expert_bias=draw(st.booleans()),
        n_groups=n_groups,
        top_groups=top_groups,
        group_score=score,
    )


def build(config: MoEConfig, seed: int = 0) -> Router:
    router, generator = Router(12, config), torch.Generator().manual_seed(seed)
    router.weight.data = torch.randn(router.weight.shape, generator=generator)
    if router.expert_bias is not None:
        router.expert_bias += 0.5 * torch.randn(router.expert_bias.shape, generator=generator)
    return router


def tokens(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 12, generator=torch.Generator().manual_seed(seed))


def chosen_by_hand(preferences: list[float], config: MoEConfig) -> list[int]:
    """Group by group and one expert after the other, ties to the lower number."""
    size = config.n_routed_experts // config.n_groups
    worth = []
    for group in range(config.n_groups):
        members = sorted(preferences[group * size : (group + 1) * size], reverse=True)
        worth.append(members[0] + members[1] if config.group_score == "top2" and config.n_groups > 1 else members[0])
    best = sorted(range(config.n_groups), key=lambda group: (-worth[group], group))[: config.top_groups]
    allowed = [expert for expert in range(config.n_routed_experts) if expert // size in best]
    return sorted(allowed, key=lambda expert: (-preferences[expert], expert))[: config.top_k]


@settings(max_examples=150)
@given(grouped(), st.integers(0, 12), st.integers(0, 1000))
def test_the_choice_is_the_rule_written_out(config, n_tokens, seed):
    router = build(config, seed)
    routing = router(tokens(n_tokens, seed))
    assert routing.experts.shape == (n_tokens, config.top_k)
    for scores, experts, weights in zip(routing.scores, routing.experts.tolist(), routing.weights, strict=True):
        biased = scores if router.expert_bias is None else scores + router.expert_bias
        assert experts == chosen_by_hand(biased.tolist(), config)
        raw = scores[experts]
        expected = raw / raw.sum() if config.normalize else raw
        assert torch.allclose(weights, expected * config.route_scale)


@settings(max_examples=60)
@given(grouped(), st.integers(0, 1000))
def test_ties_go_to_the_lower_group_and_the_lower_expert(config, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 3, (8, config.n_routed_experts), generator=generator).float()
    limited = within_best_groups(scores, config.n_groups, config.top_groups, config.group_score)
    router = Router(12, config)
    if router.expert_bias is None and config.n_groups > 1:
        assert torch.equal(router.preference(scores), limited)
    for row, kept in zip(scores.tolist(), limited, strict=True):
        allowed = torch.where(kept.isfinite())[0].tolist()
        # top_k as large as it can be names all experts of the best groups.
        every = MoEConfig(**(vars(config) | {"top_k": config.top_groups * config.group_size}))
        if config.n_groups > 1:
            assert allowed == sorted(chosen_by_hand(row, every))
        assert kept[allowed].tolist() == [row[expert] for expert in allowed]


@settings(max_examples=60)
@given(grouped(), st.integers(0, 1000))
def test_no_token_reaches_more_groups_than_it_may(config, seed):
    groups = build(config, seed)(tokens(30, seed)).experts // config.group_size
    assert max(len(set(row)) for row in groups.tolist()) <= config.top_groups


def test_all_groups_together_are_no_limit():
    limited = MoEConfig(n_routed_experts=12, top_k=5, hidden_dim=4, n_groups=4, top_groups=4)
    free = MoEConfig(n_routed_experts=12, top_k=5, hidden_dim=4)
    for limited_part, free_part in zip(build(limited)(tokens(50)), build(free)(tokens(50)), strict=True):
        assert torch.equal(limited_part, free_part)


def test_an_expert_outside_is_not_chosen_where_all_inside_are_below_zero():
    """Masking with 0 in place of -inf lets the excluded win against a negative bias (vllm#13474)."""
    config = MoEConfig(
        n_routed_experts=6, top_k=2, hidden_dim=4, score_function="sigmoid", expert_bias=True, n_groups=3, top_groups=1
    )
    router = Router(12, config)
    router.weight.data.zero_()  # every score is a half
    router.expert_bias.copy_(torch.tensor([-3.0, -3.0, -1.0, -1.0, -2.0, -2.0]))
    assert router(tokens(4)).experts.tolist() == [[2, 3]] * 4


def test_a_group_is_as_good_as_its_two_best_and_not_as_its_best():
    scores = torch.tensor([[0.9, 0.0, 0.6, 0.5]])
    assert within_best_groups(scores, 2, 1, "top2").isfinite().tolist() == [[False, False, True, True]]
    assert within_best_groups(scores, 2, 1, "max").isfinite().tolist() == [[True, True, False, False]]


def test_the_bias_helps_to_choose_groups_but_never_weighs():
    config = MoEConfig(
        n_routed_experts=4, top_k=2, hidden_dim=4, score_function="sigmoid", expert_bias=True, n_groups=2, top_groups=1
    )
    router = build(config)
    router.expert_bias.copy_(torch.tensor([5.0, 5.0, 0.0, 0.0]))
    routing = router(tokens(20))
    assert (routing.experts < 2).all()
    raw = routing.scores.gather(1, routing.experts)
    assert torch.allclose(routing.weights, raw / raw.sum(1, keepdim=True))


def test_scores_that_are_not_numbers_are_refused_in_groups_too():
    router = build(MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=4, n_groups=3, top_groups=2))
    with pytest.raises(ValueError, match="not numbers"):
        router(torch.full((2, 12), float("nan")))


@pytest.mark.parametrize("normalize", [True, False])
def test_scores_that_have_all_underflowed_weigh_nothing(normalize):
    router = Router(
        12, MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=4, score_function="sigmoid", normalize=normalize)
    )
    router.weight.data.fill_(-100.0)
    assert (router(torch.ones(3, 12)).weights == 0).all()


@settings(max_examples=60)
@given(
    sizes=st.sampled_from([(8, 2, 1), (8, 4, 2), (12, 3, 3), (16, 8, 4), (6, 1, 1)]),
    top_k=st.integers(1, 4),
    normalize=st.booleans(),
    scale=st.sampled_from([1.0, 2.5]),
    seed=st.integers(0, 1000),
)
def test_choice_and_weights_equal_those_of_hugging_faces_deepseek_v3(sizes, top_k, normalize, scale, seed):
    from transformers import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

    n_experts, n_groups, top_groups = sizes
    config = MoEConfig(
        n_routed_experts=n_experts,
        top_k=top_k,
        hidden_dim=4,
        score_function="sigmoid",
        normalize=normalize,
        route_scale=scale,
        expert_bias=True,
        n_groups=n_groups,
        top_groups=top_groups,
    )
    ours = build(config, seed)
    theirs = DeepseekV3TopkRouter(
        DeepseekV3Config(
            hidden_size=12,
            n_routed_experts=n_experts,
            num_experts_per_tok=top_k,
            n_group=n_groups,
            topk_group=top_groups,
            norm_topk_prob=normalize,
            routed_scaling_factor=scale,
        )
    )
    theirs.weight.data.copy_(ours.weight)
    theirs.e_score_correction_bias.copy_(ours.expert_bias)
    same_routing(ours, theirs, seed)


@settings(max_examples=60)
@given(
    sizes=st.sampled_from([(8, 2, 1), (8, 4, 2), (12, 3, 3), (16, 8, 4)]),
    top_k=st.integers(1, 4),
    greedy=st.booleans(),
    scale=st.sampled_from([1.0, 16.0]),
    seed=st.integers(0, 1000),
)
def test_choice_and_weights_equal_those_of_hugging_faces_deepseek_v2(sizes, top_k, greedy, scale, seed):
    from transformers import DeepseekV2Config
    from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter

    n_experts, n_groups, top_groups = sizes
    config = MoEConfig(
        n_routed_experts=n_experts,
        top_k=top_k,
        hidden_dim=4,
        normalize=False,
        route_scale=scale,
        n_groups=1 if greedy else n_groups,
        top_groups=1 if greedy else top_groups,
        group_score="max",
    )
    ours = build(config, seed)
    theirs = DeepseekV2TopkRouter(
        DeepseekV2Config(
            hidden_size=12,
            num_attention_heads=2,
            n_routed_experts=n_experts,
            num_experts_per_tok=top_k,
            n_group=n_groups,
            topk_group=top_groups,
            topk_method="greedy" if greedy else "group_limited_greedy",
            routed_scaling_factor=scale,
        )
    )
    theirs.weight.data.copy_(ours.weight)
    same_routing(ours, theirs, seed)


def same_routing(ours: Router, theirs: torch.nn.Module, seed: int) -> None:
    hidden = tokens(40, seed)
    with torch.no_grad():
        routing, (logits, weights, experts) = ours(hidden), theirs(hidden)
    assert torch.allclose(routing.logits, logits, atol=1e-5)
    # Theirs come in any order.
    by_number, own = experts.argsort(dim=1), routing.experts.argsort(dim=1)
    assert torch.equal(experts.gather(1, by_number), routing.experts.gather(1, own))
    assert torch.allclose(weights.gather(1, by_number), routing.weights.gather(1, own), atol=1e-5)


def test_a_trace_records_what_groups_allowed():
    moe = MoEConfig(n_routed_experts=8, top_k=3, hidden_dim=8, n_groups=4, top_groups=2, score_function="sigmoid")
    model = small_model(moe=moe)
    with record_routing(model) as trace:
        model(torch.arange(20)[None])
    groups = trace.experts // 2
    assert all(len(set(choices)) <= 2 for layer in groups.tolist() for choices in layer)
    assert trace.n_experts == 8


def test_the_choice_leaves_gradients_to_the_scores_alone():
    router = build(MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=4, n_groups=3, top_groups=1))
    router(tokens(5)).weights[:, 0].sum().backward()
    assert router.weight.grad.isfinite().all()
    assert router.weight.grad.abs().sum() > 0


SIZES = {"n_routed_experts": 8, "top_k": 2, "hidden_dim": 4}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_groups": 3}, ["n_groups is 3", "divide the 8 experts"]),
        ({"n_groups": 0}, ["n_groups is 0", "at least 1"]),
        ({"n_groups": 4, "top_groups": 5}, ["top_groups is 5", "n_groups = 4"]),
        ({"n_groups": 4, "top_k": 3}, ["top_k is 3", "1 of 4 groups may have only 2 experts", "raise top_groups"]),
        ({"n_groups": 4, "group_score": "mean"}, ["'mean'", "'top2' or 'max'"]),
        ({"n_groups": 8, "top_groups": 2}, ["n_groups is 8", "one expert to a group", "'max'"]),
    ],
)
def test_nonsense_is_refused_in_one_sentence(changes, words):
    with pytest.raises(ValueError) as error:
        MoEConfig(**(SIZES | changes))
    assert all(word in str(error.value) for word in words), str(error.value)
