"""Every way to bring tokens to experts gives the same sum, and the same gradients, as asking all experts slowly."""

import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from moe_lessons.config import MoEConfig
from moe_lessons.model import fused_dispatch
from moe_lessons.model.dispatch import STRATEGIES, fastest, few, one_by_one
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


@pytest.mark.parametrize("name", ["sorted", "fused"])
def test_more_experts_than_sixteen_bits_count_are_told_apart(name):
    """40,000 experts without a size of their own but two: 40,000 - 2^16 would be another one, or none."""
    n_experts, far = 40_000, torch.tensor([[39_999], [3], [33_000], [39_999]])
    gate_up, down = torch.zeros(n_experts, 2, 4), torch.zeros(n_experts, 4, 1)
    for expert in (3, 33_000, 39_999):
        gate_up[expert], down[expert] = expert / 10_000, 1.0
    hidden, weights = torch.ones(4, 4), torch.ones(4, 1)
    result = STRATEGIES[name](hidden, far, weights, gate_up, down)
    right = []
    for (expert,) in far.tolist():
        inner = torch.tensor(4 * expert / 10_000)
        right.append((inner.sigmoid() * inner * inner).expand(4))
    assert torch.allclose(result, torch.stack(right), rtol=1e-4)


COMPILED = """
import sys
import torch
from moe_lessons import MoEConfig
from moe_lessons.model.moe import MoE

layer, graphs = MoE(16, MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8)), []
generator = torch.Generator().manual_seed(0)
for parameter in layer.parameters():
    parameter.data = torch.randn(parameter.shape, generator=generator) / 4
layer.experts.strategy = sys.argv[1]

def backend(graph, inputs):
    graphs.append(graph)
    return graph.forward

hidden = torch.randn(1, 12, 16, generator=generator)
right = layer(hidden)
result = torch.compile(layer, backend=backend)(hidden)
torch.testing.assert_close(result, right)
result.sum().backward()
assert layer.router.weight.grad.abs().sum() > 0
print(len(graphs))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grouped", "sorted"])
def test_a_compiled_layer_gives_the_same_and_breaks_around_its_dispatch_alone(name):
    """In a process of its own: the compiler cannot follow the shape checks of these tests."""
    run = subprocess.run([sys.executable, "-c", COMPILED, name], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert 1 <= int(run.stdout) <= 4


def test_fused_says_that_it_works_on_a_cpu_only():
    tensors = [tensor.to("meta") for tensor in case(4, 3, 2)]
    with pytest.raises(ValueError, match="the tokens are on meta, but 'fused' works on a CPU only; use 'sorted' there"):
        STRATEGIES["fused"](*tensors)


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


@pytest.fixture
def two_threads(monkeypatch):
    """However small the layer, its experts are shared out to two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(fused_dispatch, "worth_sharing", lambda n_choices, gate_up: True)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_experts_side_by_side_on_two_threads_give_the_slow_sum_too(n_tokens, n_experts, top_k, seed):
    assert_same("fused", case(n_tokens, n_experts, min(top_k, n_experts), seed))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("favored", [0, 3])
def test_an_expert_with_most_of_the_tokens_is_no_special_case_on_two_threads(favored):
    choices = torch.full((20, 1), favored)
    choices[15:, 0] = torch.tensor([1, 2, 4, 5, 5])
    assert_same("fused", case(20, 7, 1, choices=choices))
    assert_same("fused", case(20, 7, 1, choices=torch.full((20, 1), favored)))


@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_same_bits_again_whoever_comes_first():
    tensors = case(200, 16, 4)
    first = with_gradients(STRATEGIES["fused"], tensors)
    for _ in range(5):
        assert all(map(torch.equal, first, with_gradients(STRATEGIES["fused"], tensors)))
    torch.set_num_threads(1)
    assert all(map(torch.equal, first, with_gradients(STRATEGIES["fused"], tensors)))


@pytest.mark.usefixtures("two_threads")
def test_two_threads_work_in_inference_mode():
    tensors = case(20, 5, 2)
    right = dense_sum(*tensors)
    with torch.inference_mode():
        assert torch.allclose(STRATEGIES["fused"](*tensors), right, atol=1e-5)


def test_a_cpu_in_float32_takes_the_fused_way_for_much_work_and_the_grouped_one_for_little():
    def choose(n_tokens: int, dim: int, hidden: int) -> str:
        return fastest(torch.empty(n_tokens, dim), torch.empty(n_tokens, 2).long(), torch.empty(8, 2 * hidden, dim))

    assert choose(4096, 128, 128) == "fused"
    assert choose(1, 512, 512) == "fused"  # one token, but matrices that take long to read
    assert choose(1, 128, 128) == "grouped"
    assert choose(1, 127, 128) == "sorted"  # rows that are no multiple of 16 bytes


def test_what_the_fused_and_the_grouped_way_cannot_do_goes_another_way():
    hidden, experts, stack = torch.empty(4096, 128), torch.empty(4096, 2).long(), torch.empty(8, 256, 128)
    assert fastest(hidden.double(), experts, stack.double()) == "sorted"
    assert fastest(hidden.double(), experts, stack) == "sorted"
    assert fastest(hidden.to("meta"), experts, stack.to("meta")) == "sorted"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fastest(hidden, experts, stack) == "sorted"


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


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_one_by_one_gives_the_slow_sum(n_tokens, n_experts, top_k, seed):
    tensors = case(n_tokens, n_experts, min(top_k, n_experts), seed)
    with torch.inference_mode():
        assert torch.allclose(one_by_one(*tensors), dense_sum(*tensors), atol=1e-5)


def test_few_tokens_without_gradients_go_one_by_one():
    def goes(n_tokens: int, n_experts: int = 12, dim: int = 16, **kind) -> bool:
        hidden, stack = torch.empty(n_tokens, dim, **kind), torch.empty(n_experts, 2 * WIDTH, dim, **kind)
        return few(hidden, torch.empty(n_tokens, 2).long(), stack)

    assert not goes(1)  # gradients are recorded
    with torch.no_grad():
        assert goes(1) and goes(2) and not goes(3)  # each chooses two of twelve
        assert goes(1, n_experts=2)
        assert not goes(0)
        assert not goes(1, dtype=torch.bfloat16) and not goes(1, device="meta")
        assert not goes(1, dim=20_000)  # matrices that take long to read: one thread to an expert


def test_a_layer_gives_one_token_what_it_gives_it_among_others():
    torch.manual_seed(0)
    layer = Experts(6, DIM, WIDTH)
    hidden, experts, weights, *stacks = case(9, 6, 2)
    layer.gate_up.data, layer.down.data = stacks
    right = layer(hidden, experts, weights)
    with torch.no_grad():
        for row in range(9):
            own = slice(row, row + 1)
            assert torch.allclose(layer(hidden[own], experts[own], weights[own]), right[own], atol=1e-6)
        assert layer(hidden[:0], experts[:0], weights[:0]).shape == (0, DIM)
