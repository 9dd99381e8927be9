"""Routing: nobody is lost, nobody counts too much, and the bugs that others shipped stay out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moe_lessons import MoEConfig
from moe_lessons.model.moe import MoE
from moe_lessons.model.router import MANY, Router, choose, repeatable_noise
from moe_lessons.routing_rule import SCORE_FUNCTIONS

routers = st.builds(
    lambda n, k, score, normalize, scale, bias: MoEConfig(
        n_routed_experts=n,
        top_k=min(k, n),
        hidden_dim=8,
        score_function=score,
        normalize=normalize,
        route_scale=scale,
        expert_bias=bias,
    ),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(SCORE_FUNCTIONS),
    st.booleans(),
    st.sampled_from([1.0, 2.5]),
    st.booleans(),
)


def build(config: MoEConfig, seed: int = 0) -> Router:
    router = Router(12, config)
    generator = torch.Generator().manual_seed(seed)
    router.weight.data = torch.randn(router.weight.shape, generator=generator)
    if router.expert_bias is not None:
        router.expert_bias += 0.2 * torch.randn(router.expert_bias.shape, generator=generator)
    return router


def moe_layer(seed: int = 0, **changes) -> MoE:
    layer = MoE(12, MoEConfig(**({"n_routed_experts": 6, "top_k": 2, "hidden_dim": 8} | changes)))
    generator = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return layer


@settings(max_examples=80, deadline=None)
@given(routers, st.integers(0, 20), st.integers(0, 1000))
def test_routing_equals_the_rule_written_out_for_one_token(config, n_tokens, seed):
    router, hidden = build(config, seed), torch.randn(n_tokens, 12, generator=torch.Generator().manual_seed(seed))
    routing = router(hidden)
    assert routing.experts.shape == routing.weights.shape == (n_tokens, config.top_k)
    for i in range(n_tokens):
        logits = (router.weight @ hidden[i]).tolist()
        if config.score_function == "sigmoid":
            scores = [float(torch.tensor(v).sigmoid()) for v in logits]
        elif config.score_function == "sqrt_softplus":
            scores = [math.sqrt(math.log1p(math.exp(v))) for v in logits]
        else:
            scores = torch.tensor(logits).softmax(0).tolist()
        biased = [s + (float(b) if config.expert_bias else 0) for s, b in zip(scores, _bias(router), strict=True)]
        ranking = sorted(range(len(scores)), key=lambda e: (-round(biased[e], 5), e))
        chosen = routing.experts[i].tolist()
        assert [round(biased[e], 4) for e in chosen] == [round(biased[e], 4) for e in ranking[: config.top_k]]
        expected = [scores[e] for e in chosen]
        if config.normalize:
            expected = [s / sum(expected) for s in expected]
        assert torch.allclose(routing.weights[i], torch.tensor(expected) * config.route_scale, atol=1e-5)


def _bias(router: Router) -> list[float]:
    return [0.0] * len(router.weight) if router.expert_bias is None else router.expert_bias.tolist()


@settings(max_examples=60, deadline=None)
@given(routers, st.integers(1, 40))
def test_every_token_reaches_exactly_k_different_experts(config, n_tokens):
    routing = build(config)(torch.randn(n_tokens, 12))
    assert all(len(set(row)) == config.top_k for row in routing.experts.tolist())
    assert routing.experts.min() >= 0
    assert routing.experts.max() < config.n_routed_experts


@settings(max_examples=40, deadline=None)
@given(routers, st.integers(1, 40))
def test_normalized_weights_sum_to_route_scale(config, n_tokens):
    routing = build(config)(torch.randn(n_tokens, 12))
    if config.normalize:
        assert torch.allclose(routing.weights.sum(-1), torch.full((n_tokens,), config.route_scale), atol=1e-5)
    else:
        assert torch.allclose(routing.weights, routing.scores.gather(1, routing.experts) * config.route_scale)


def test_ties_go_to_the_lower_index():
    assert choose(torch.tensor([[1.0, 3.0, 3.0, 2.0, 3.0]]), 3).tolist() == [[1, 2, 4]]
    assert choose(torch.zeros(4, 64), 3).tolist() == [[0, 1, 2]] * 4


@pytest.mark.parametrize("n_experts", [1, 2, 5, 32, 70])
def test_choices_are_those_of_a_stable_sort_with_ties_and_without(n_experts):
    generator = torch.Generator().manual_seed(n_experts)
    scores = torch.randn(100, n_experts, generator=generator)
    outside = torch.where(torch.rand(scores.shape, generator=generator) < 0.5, float("-inf"), 0.0)
    one_tie = scores.clone()
    one_tie[7] = one_tie[7, :1]  # in one row alone
    for top_k in {0, 1, 3, min(MANY, n_experts), min(MANY + 1, n_experts), n_experts - 1, n_experts}:
        for case in (scores, scores.round(), scores + outside, one_tie, scores.T.contiguous().T, scores[:0]):
            right = case.sort(dim=-1, descending=True, stable=True).indices[:, :top_k]
            assert torch.equal(choose(case, top_k), right)


def test_the_bias_chooses_but_never_weighs():
    config = MoEConfig(
        n_routed_experts=3, top_k=1, hidden_dim=8, score_function="sigmoid", normalize=False, expert_bias=True
    )
    router = build(config)
    hidden = torch.randn(10, 12)
    before = router(hidden)
    router.expert_bias.copy_(torch.tensor([0.0, 0.0, 5.0]))
    after = router(hidden)
    assert (after.experts == 2).all()
    assert torch.equal(after.scores, before.scores)
    assert torch.equal(after.weights[:, 0], before.scores[:, 2])


def test_small_scores_survive_a_large_bias():
    """Score recovered as selected minus bias would round a small sigmoid away (flashinfer#3875)."""
    config = MoEConfig(
        n_routed_experts=2, top_k=1, hidden_dim=8, score_function="sigmoid", normalize=False, expert_bias=True
    )
    router = build(config)
    router.weight.data = torch.full((2, 12), -1.5)
    router.expert_bias.copy_(torch.tensor([100.0, 0.0]))
    weight = router(torch.ones(1, 12)).weights.item()
    assert weight == pytest.approx(torch.tensor(-18.0).sigmoid().item(), rel=1e-5)


def test_route_scale_counts_without_normalization_too():
    config = {"n_routed_experts": 4, "top_k": 2, "hidden_dim": 8, "normalize": False}
    plain, scaled = build(MoEConfig(**config)), build(MoEConfig(**config, route_scale=2.5))
    hidden = torch.randn(5, 12)
    assert torch.allclose(scaled(hidden).weights, 2.5 * plain(hidden).weights)


def test_the_router_gets_a_gradient_unless_one_normalized_expert_is_chosen():
    def gradient(**changes) -> float:
        router = build(MoEConfig(**({"n_routed_experts": 4, "top_k": 2, "hidden_dim": 8} | changes)))
        (
            router(torch.randn(9, 12)).weights * torch.arange(9.0)[:, None] * torch.arange(1.0, 3.0)[: router.top_k]
        ).sum().backward()
        return float(router.weight.grad.abs().sum())

    assert gradient() > 0
    assert gradient(top_k=1, normalize=False) > 0
    assert gradient(top_k=1, normalize=True) == pytest.approx(0, abs=1e-5)


def test_the_router_works_in_float32_under_autocast():
    router, hidden = build(MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8)), torch.randn(9, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        routing = router(hidden)
    assert routing.logits.dtype == torch.float32
    assert torch.equal(routing.logits, router(hidden).logits)


@pytest.mark.parametrize("shared", [0, 2])
@pytest.mark.parametrize("n_tokens", [0, 1, 30])
def test_the_layer_equals_a_dense_sum_over_all_experts(n_tokens, shared):
    layer, hidden = moe_layer(n_shared_experts=shared), torch.randn(1, n_tokens, 12)
    routing = layer.router(hidden[0])
    expected = torch.zeros(n_tokens, 12)
    for expert in range(6):
        weight = torch.where(routing.experts == expert, routing.weights, 0).sum(-1, keepdim=True)
        gate, up = (hidden[0] @ layer.experts.gate_up[expert].T).chunk(2, dim=-1)
        expected += weight * ((gate.sigmoid() * gate * up) @ layer.experts.down[expert].T)
    if shared:
        expected += layer.shared(hidden[0])
    assert torch.allclose(layer(hidden)[0], expected, atol=1e-5)


def test_permuting_the_tokens_permutes_the_result():
    layer, hidden, order = moe_layer(), torch.randn(1, 20, 12), torch.randperm(20)
    assert torch.allclose(layer(hidden)[:, order], layer(hidden[:, order]), atol=1e-6)


def test_a_token_does_not_see_the_rest_of_the_batch():
    layer, hidden = moe_layer(), torch.randn(1, 20, 12)
    assert torch.allclose(layer(hidden)[:, :1], layer(hidden[:, :1]), atol=1e-6)


def test_noise_moves_choices_in_training_and_is_off_in_evaluation():
    config = MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=8, noise=True)
    router, hidden = build(config), torch.randn(200, 12)
    quiet = Router(12, MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=8))
    quiet.weight.data = router.weight.data
    router.train()
    assert not torch.equal(router(hidden).experts, router(hidden).experts)
    # softplus(0) = ln 2 is the spread that a router starts with
    spread = (router(hidden).logits - quiet(hidden).logits).std().item()
    assert spread == pytest.approx(0.693, rel=0.1)
    router.eval()
    assert torch.equal(router(hidden).logits, quiet(hidden).logits)


def drawn(seed: int, step: int, rank: int = 0, size: int = 1, tokens: int = 8) -> torch.Tensor:
    """What two routers with the same weights make of the same tokens, or of a process's part of them."""
    noisy = MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=8, noise=True)
    routers = torch.nn.ModuleList([build(noisy), build(noisy)]).train()
    hidden = torch.randn(tokens, 12, generator=torch.Generator().manual_seed(0)).chunk(size)[rank]
    with repeatable_noise(routers, seed, step, rank, size):
        return torch.stack([router(hidden).logits for router in routers])


def test_noise_depends_on_seed_step_and_layer_and_on_nothing_else():
    first = drawn(3, 5)
    torch.manual_seed(77)
    assert torch.equal(drawn(3, 5), first)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(drawn(3, 6), first)
    assert not torch.equal(drawn(4, 5), first)


def test_processes_that_share_a_batch_draw_the_noise_of_the_whole():
    parts = [drawn(3, 5, rank, 4) for rank in range(4)]
    assert torch.equal(torch.cat(parts, dim=1), drawn(3, 5))


def test_noise_that_can_be_repeated_leaves_the_global_generator_alone_and_ends_with_its_block():
    before = torch.get_rng_state()
    drawn(0, 0)
    router = build(MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=8, noise=True)).train()
    with pytest.raises(KeyError), repeatable_noise(router, 0, 0):
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)
    hidden = torch.randn(9, 12)
    assert not torch.equal(router(hidden).logits, router(hidden).logits)  # as dropout draws


def test_scores_that_are_not_numbers_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"the router's scores are not numbers \(nan\)"):
        choose(torch.tensor([[1.0, float("nan")]]), 1)
