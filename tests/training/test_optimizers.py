"""Muon and the way parameters are shared out, against singular values and against updates done by hand."""

import pytest
import torch
from small import small_model
from torch import nn

from moe_lessons.config import AttentionConfig, MoEConfig, TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.training import optimizers as training_optimizers
from moe_lessons.training.optimizers import Muon, build_optimizers, orthogonalize, product_dtype


def model(**changes) -> Transformer:
    values = {"vocab_size": 30, "dim": 8, "hidden_dim": 12, "max_length": 8}
    moe = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=6)
    return small_model(attention=AttentionConfig(n_heads=2, qk_norm=True), moe=moe, **values, **changes)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (3, 5, 7)], ids=str)
def test_orthogonalizing_keeps_directions_and_makes_all_sizes_about_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonalize(matrices)
    assert (torch.linalg.svdvals(result) > 0.4).all()
    assert (torch.linalg.svdvals(result) < 1.3).all()
    # in the singular basis of the input the result is diagonal
    inside = left.mT @ result @ right.mT
    assert torch.allclose(inside, torch.diag_embed(inside.diagonal(dim1=-2, dim2=-1)), atol=1e-6)


@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(4, 8), (4, 30), (17, 4)], ids=str)
def test_the_short_cut_for_long_matrices_gives_what_the_steps_written_out_give(shape, iterations):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / matrix.norm()
    for _ in range(iterations):
        x = a * x + b * (x @ x.T) @ x + c * (x @ x.T) @ (x @ x.T) @ x
    assert torch.allclose(orthogonalize(matrix, iterations), x, atol=1e-6)


@pytest.mark.parametrize("most", [1, 40, 10_000])
def test_a_step_does_not_depend_on_how_many_matrices_are_worked_on_together(monkeypatch, most):
    def stepped() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(6)
        parameters = [nn.Parameter(torch.randn(s, generator=generator)) for s in [(5, 4, 3), (4, 3), (2, 9), (3, 2, 9)]]
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        Muon(parameters).step()
        return parameters

    right = stepped()
    monkeypatch.setattr(training_optimizers, "IN_CACHE", most)
    assert all(torch.allclose(mine, other, atol=1e-3) for mine, other in zip(stepped(), right, strict=True))


def test_orthogonalizing_zero_gives_zero_and_not_a_division_by_it():
    assert not orthogonalize(torch.zeros(3, 4)).any()


def test_a_stack_is_stepped_on_as_its_matrices_would_be_alone():
    generator = torch.Generator().manual_seed(1)
    stack = nn.Parameter(torch.randn(3, 5, 4, generator=generator))
    alone = [nn.Parameter(matrix.detach().clone()) for matrix in stack]
    together, apart = Muon([stack], weight_decay=0.1), Muon(alone, weight_decay=0.1)
    for _ in range(3):
        stack.grad = torch.randn(stack.shape, generator=generator)
        for matrix, grad in zip(alone, stack.grad, strict=True):
            matrix.grad = grad.clone()
        together.step()
        apart.step()
    assert torch.allclose(stack, torch.stack(alone), atol=1e-6)


@pytest.mark.usefixtures("products_unasked")
def test_one_step_of_muon_is_decay_then_the_orthogonalized_look_ahead():
    weight = nn.Parameter(torch.randn(6, 3, generator=torch.Generator().manual_seed(2)))
    before, grad = weight.detach().clone(), torch.randn(6, 3, generator=torch.Generator().manual_seed(3))
    weight.grad = grad
    Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5).step()
    momentum = 0.1 * grad
    look_ahead = 0.1 * grad + 0.9 * momentum
    right = before * (1 - 0.1 * 0.5) - 0.1 * 2**0.5 * orthogonalize(look_ahead)
    assert torch.allclose(weight, right, atol=1e-6)


def test_a_step_in_bfloat16_points_where_the_one_in_float32_does():
    matrices = torch.randn(4, 24, 16, generator=torch.Generator().manual_seed(4))
    exact, rounded = orthogonalize(matrices), orthogonalize(matrices.bfloat16()).float()
    assert (exact - rounded).norm() < 0.02 * exact.norm()


@pytest.mark.usefixtures("products_unasked")
@pytest.mark.parametrize("multiplies_bfloat16", [False, True])
def test_a_step_on_a_cpu_is_the_same_whether_or_not_it_multiplies_bfloat16(monkeypatch, multiplies_bfloat16):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: multiplies_bfloat16)
    moved = {}
    for products in ("auto", "float32", "bfloat16"):
        weight = nn.Parameter(torch.zeros(6, 5))
        weight.grad = torch.randn(6, 5, generator=torch.Generator().manual_seed(7))
        Muon([weight], products=products).step()
        moved[products] = weight.detach()
    assert torch.equal(moved["auto"], moved["float32"])
    assert not torch.equal(moved["auto"], moved["bfloat16"])
    assert torch.allclose(moved["auto"], moved["bfloat16"], atol=1e-3)


@pytest.mark.usefixtures("products_unasked")
def test_the_configuration_chooses_the_products_and_cuda_has_bfloat16_unless_told_otherwise():
    for products, on_cpu, on_cuda in (
        ("auto", torch.float32, torch.bfloat16),
        ("float32", torch.float32, torch.float32),
        ("bfloat16", torch.bfloat16, torch.bfloat16),
    ):
        _, muon = build_optimizers(model(), TrainConfig(steps=1, optimizer_products=products))
        assert muon.products == products
        assert product_dtype(torch.device("cpu"), products) == on_cpu
        assert product_dtype(torch.device("cuda"), products) == on_cuda
    with pytest.raises(ValueError, match="optimizer_products is 'half', but must be"):
        TrainConfig(steps=1, optimizer_products="half")


def test_muon_refuses_a_vector():
    with pytest.raises(ValueError, match="1 dimensions"):
        Muon([nn.Parameter(torch.zeros(4))])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_every_parameter_has_exactly_one_optimizer(kind, tied):
    own = model(tie_embeddings=tied)
    optimizers = build_optimizers(own, TrainConfig(steps=1, optimizer=kind))
    taken = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(taken) == sorted(id(p) for p in own.parameters())


def test_muon_takes_the_blocks_matrices_but_not_the_router_and_gains_do_not_decay():
    own = model()
    adamw, muon = build_optimizers(own, TrainConfig(steps=1, weight_decay=0.3))
    names = {id(p): name for name, p in own.named_parameters()}
    by_muon = {names[id(p)] for g in muon.param_groups for p in g["params"]}
    assert by_muon == {n for n in names.values() if n.startswith("blocks") and "norm" not in n and "router" not in n}
    assert "blocks.0.feed_forward.experts.gate_up" in by_muon
    undecayed = {names[id(p)] for g in adamw.param_groups if g["weight_decay"] == 0 for p in g["params"]}
    assert undecayed == {n for n in names.values() if "norm" in n}


@pytest.mark.parametrize("shape", [(4, 24, 16), (4, 16, 64), (4, 64, 16)])
def test_bfloat16_products_are_the_same_where_the_processor_has_none(shape, monkeypatch):
    """Widened, multiplied and rounded, or left to torch: equal within the last of bfloat16's eight bits."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    results = []
    for supported in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda supported=supported: supported)
        results.append(orthogonalize(drawn, iterations=1).float())
    assert (results[0] - results[1]).abs().max() <= 2**-7 * results[0].abs().max()
    assert (results[1] - orthogonalize(drawn.float(), iterations=1)).abs().max() > 1e-4  # and rounded indeed


@pytest.mark.usefixtures("products_unasked")
def test_one_switch_turns_auto_into_bfloat16(monkeypatch):
    cpu = torch.device("cpu")
    assert product_dtype(cpu) == torch.float32
    monkeypatch.setenv("MOE_LESSONS_PRODUCTS", "bfloat16")
    assert product_dtype(cpu) == torch.bfloat16 and product_dtype(cpu, "float32") == torch.float32


def test_a_matrix_that_waits_steps_on_the_sum_of_its_gradients():
    gradients = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0))
    waits, sums = (nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    every_third, plain = Muon([waits], every=3), Muon([sums])
    for number, gradient in enumerate(gradients, start=1):
        before = waits.detach().clone()
        waits.grad = gradient.clone()
        every_third.step()
        if number % 3:
            assert torch.equal(waits, before)
        else:
            sums.grad = gradients[number - 3 : number].sum(dim=0)
            plain.step()
            torch.testing.assert_close(waits, sums)


def test_matrices_that_wait_take_turns():
    waiting = [nn.Parameter(torch.zeros(2, 2)) for _ in range(4)]
    muon = Muon(waiting, every=4)
    moved = []
    for _ in range(8):
        before = [p.detach().clone() for p in waiting]
        for p in waiting:
            p.grad = torch.eye(2)
        muon.step()
        moved.append([i for i, p in enumerate(waiting) if not torch.equal(p, before[i])])
    assert moved == [[3], [2], [1], [0]] * 2


def test_experts_remember_as_much_as_other_matrices_unless_told():
    own = model()
    _, muon = build_optimizers(own, TrainConfig(steps=1, matrix_momentum=0.9))
    assert [group["momentum"] for group in muon.param_groups] == [0.9]
    _, muon = build_optimizers(own, TrainConfig(steps=1, matrix_momentum=0.9, expert_every=2))
    assert [group["momentum"] for group in muon.param_groups] == [0.9, 0.9]


def test_experts_alone_wait_and_step_farther():
    own = model()
    config = TrainConfig(steps=1, expert_every=4, expert_rate=2.5, expert_momentum=0.5, matrix_lr=0.1)
    _, muon = build_optimizers(own, config)
    names = {id(p): name for name, p in own.named_parameters()}
    others, experts = muon.param_groups
    assert {".experts." in names[id(p)] for p in experts["params"]} == {True}
    assert not any(".experts." in names[id(p)] for p in others["params"])
    assert (experts["every"], experts["lr"], experts["momentum"]) == (4, 0.25, 0.5)
    assert (others["every"], others["lr"], others["momentum"]) == (1, 0.1, 0.95)
