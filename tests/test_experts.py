"""Every way to bring tokens to experts gives the same sum, and the same gradients, as asking all experts slowly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from moe_lessons.config import MoEConfig
from moe_lessons.model.dispatch import STRATEGIES, fastest
from moe_lessons.model.experts import Experts
from moe_lessons.model.moe import MoE

DIM, WIDTH = 16, 8


def dense_sum(hidden: Tensor, experts: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """Slow and obvious: each token, each choice, one matrix-vector product at a time."""
    rows = []
    for t in range(len(hidden)):
        total = torch.zeros_like(hidden[0])
        for j in range(experts.shape[1]):
            e = int(experts[t, j])
            gate, up = (gate_up[e] @ hidden[t]).chunk(2)
            total = total + weights[t, j] * (down[e] @ (gate / (1 + torch.exp(-gate)) * up))
        rows.append(total)
    return torch.stack(rows) if rows else hidden * 0


def case(n_tokens: int, n_experts: int, top_k: int, seed: int = 0, choices: Tensor | None = None) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    if choices is None:
        choices = torch.rand(n_tokens, n_experts, generator=generator).argsort(dim=1)[:, :top_k]
    weights = draw(n_tokens, top_k).softmax(dim=-1)
    return [draw(n_tokens, DIM), choices, weights, draw(n_experts, 2 * WIDTH, DIM) / 4, draw(n_experts, DIM, WIDTH) / 3]


def with_gradients(strategy, tensors: list[Tensor]) -> list[Tensor]:
    leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in tensors]
    result = strategy(*leaves)
    slope = torch.linspace(-1, 1, result.numel()).view_as(result)
    (result * slope).sum().backward()
    return [result.detach(), *(torch.zeros_like(t) if t.grad is None else t.grad for t in leaves if t.requires_grad)]


def assert_same(name: str, tensors: list[Tensor]) -> None:
    expected = with_gradients(dense_sum, tensors)
    for mine, right in zip(with_gradients(STRATEGIES[name], tensors), expected, strict=True):
        assert mine.shape == right.shape
        assert torch.allclose(mine, right, atol=1e-5, rtol=1e-5), (mine - right).abs().max()


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_every_strategy_equals_the_slow_sum_gradients_included(name, n_tokens, n_experts, top_k, seed):
    assert_same(name, case(n_tokens, n_experts, min(top_k, n_experts), seed))


@pytest.mark.parametrize("name", STRATEGIES)
def test_zero_tokens_are_no_special_case(name):
    assert_same(name, case(0, 4, 2))


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_token_is_no_special_case(name):
    assert_same(name, case(1, 4, 2))


@pytest.mark.parametrize("name", STRATEGIES)
def test_experts_without_a_token_get_a_zero_gradient(name):
    tensors = case(11, 6, 1, choices=torch.full((11, 1), 3))
    assert_same(name, tensors)
    d_gate_up = with_gradients(STRATEGIES[name], tensors)[3]
    assert d_gate_up[3].any()
    assert not d_gate_up[[0, 1, 2, 4, 5]].any()


@pytest.mark.parametrize("name", STRATEGIES)
def test_all_experts_at_work_on_every_token_is_no_special_case(name):
    assert_same(name, case(7, 4, 4))


@pytest.mark.parametrize("name", ["loop", "one_hot", "sorted"])
def test_the_plain_ways_have_the_gradients_that_finite_differences_find(name):
    tensors = [t.double().requires_grad_() if t.is_floating_point() else t for t in case(3, 3, 2)]
    assert torch.autograd.gradcheck(STRATEGIES[name], tensors)


def test_the_fused_way_gives_no_second_derivative_rather_than_a_wrong_one():
    leaves = [t.requires_grad_(t.is_floating_point()) for t in case(5, 3, 2)]
    (slope,) = torch.autograd.grad(STRATEGIES["fused"](*leaves).square().sum(), leaves[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_the_fused_way_takes_gradients_that_are_not_contiguous():
    tensors = case(6, 3, 2)
    results = []
    for name in ("sorted", "fused"):
        leaves = [t.clone().requires_grad_(t.is_floating_point()) for t in tensors]
        STRATEGIES[name](*leaves).T.sum(dim=1).sum().backward()  # an expanded gradient, stride 0
        results.append(leaves[0].grad)
    assert torch.allclose(*results, atol=1e-5)


def test_a_cpu_in_float32_takes_the_fused_way_and_all_else_a_way_that_can():
    stack = torch.empty(2, 16, 8)
    assert fastest(torch.empty(3, 8), stack) == "fused"
    assert fastest(torch.empty(3, 8, dtype=torch.float64), stack.double()) == "sorted"
    assert fastest(torch.empty(3, 8, device="meta"), stack.to("meta")) == "sorted"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fastest(torch.empty(3, 8), stack) == "sorted"


@pytest.mark.parametrize("autocast", [False, True])
def test_a_layer_runs_in_double_precision_and_under_autocast(autocast):
    layer = MoE(8, MoEConfig(n_routed_experts=3, top_k=2, hidden_dim=4))
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    hidden = torch.randn(2, 5, 8)
    right = layer(hidden)
    if autocast:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = layer(hidden)
    else:
        result = layer.double()(hidden.double())
    assert torch.allclose(result.float(), right, atol=0.05 if autocast else 1e-5)


def test_an_unknown_strategy_is_refused_by_name():
    with pytest.raises(ValueError, match="'magic'.*sorted"):
        Experts(2, 4, 4, strategy="magic")
