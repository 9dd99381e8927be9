"""Mixtures with biases and gates of their own, against each token's experts in turn."""

from dataclasses import replace

import pytest
import torch
from small import SPARSE, small_config, small_model
from torch.nn import functional as F

from moe_lessons import MoEConfig
from moe_lessons.concerns import Gate
from moe_lessons.model.experts import Experts
from moe_lessons.model.gates import pass_gate
from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router
from moe_lessons.model.shaped_moe import BiasedRouter, ShapedExperts, ShapedMoE, mixture_of

OSS = Gate(sharpness=1.702, limit=0.5, shift=1.0)


@torch.no_grad()
def drawn(module: torch.nn.Module) -> torch.nn.Module:
    for parameter in module.parameters():
        parameter.normal_(std=0.5)
    return module


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rule", [Gate(), Gate(activation="gelu"), OSS])
@pytest.mark.parametrize(("tokens", "n_experts", "top_k"), [(9, 4, 2), (1, 4, 4), (0, 3, 1), (5, 1, 1), (2, 16, 1)])
def test_each_token_gets_the_sum_over_its_experts(tokens, n_experts, top_k, rule, bias):
    layer = drawn(ShapedExperts(n_experts, 6, 10, rule, bias))
    hidden, weights = torch.randn(tokens, 6), torch.rand(tokens, top_k)
    experts = torch.stack([torch.randperm(n_experts)[:top_k] for _ in range(tokens)] or [torch.zeros(top_k).long()])
    experts = experts[:tokens]
    result = layer(hidden, experts, weights)
    assert result.shape == (tokens, 6)
    for token in range(tokens):
        expected = torch.zeros(6)
        for expert, weight in zip(experts[token].tolist(), weights[token], strict=True):
            product = layer.gate_up[expert] @ hidden[token] + (layer.gate_up_bias[expert] if bias else 0)
            output = layer.down[expert] @ pass_gate(rule, product[:10], product[10:])
            expected = expected + weight * (output + (layer.down_bias[expert] if bias else 0))
        assert torch.allclose(result[token], expected, atol=1e-5)


def test_without_a_gate_of_their_own_they_are_the_ordinary_experts_gradients_included():
    shaped, plain = drawn(ShapedExperts(4, 6, 10, Gate())), Experts(4, 6, 10, strategy="sorted")
    plain.load_state_dict(shaped.state_dict())
    hidden, experts, weights = torch.randn(7, 6), torch.randint(0, 4, (7, 2)), torch.rand(7, 2)
    for layer in (shaped, plain):
        layer(hidden, experts, weights).square().sum().backward()
    for one, other in zip(shaped.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-4)


def test_a_routers_bias_takes_part_in_choice_and_weights():
    config = MoEConfig(n_routed_experts=5, top_k=2, hidden_dim=4, bias=True)
    router, plain = drawn(BiasedRouter(6, config)), Router(6, SPARSE)
    plain.weight = router.weight
    routing, hidden = router(torch.ones(3, 6)), torch.ones(3, 6)
    assert torch.allclose(routing.logits, F.linear(hidden, plain.weight) + router.bias)
    best = routing.logits.topk(2)
    assert torch.equal(routing.experts, best.indices)
    assert torch.allclose(routing.weights, best.values.softmax(dim=-1), atol=1e-6)  # over the chosen ones alone


def test_a_model_without_these_concerns_has_the_plain_parts_alone():
    assert type(mixture_of(small_config(moe=SPARSE, output_norms=True))) is MoE
    layer = mixture_of(small_config(moe=SPARSE, gate=Gate(activation="gelu")))
    assert (type(layer), type(layer.router)) == (ShapedMoE, Router)
    assert {name for name, _ in layer.named_parameters()} == {name for name, _ in MoE(16, SPARSE).named_parameters()}


def test_experts_that_others_cannot_carry_are_refused_there(tmp_path):
    from moe_lessons.offload import load_offloaded
    from moe_lessons.parallel.experts import spread_experts
    from moe_lessons.training.checkpoint import save_checkpoint

    model = small_model(moe=replace(SPARSE, bias=True))
    with pytest.raises(ValueError, match="only plain ones can live on several processes"):
        spread_experts(model)
    save_checkpoint(tmp_path / "model.safetensors", model)
    with pytest.raises(ValueError, match="only plain ones can be left in the file"):
        load_offloaded(tmp_path / "model.safetensors", slots=2)


def test_a_bias_beside_noise_is_refused():
    with pytest.raises(ValueError, match="bias and noise are both true"):
        MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, bias=True, noise=True)
