"""Steering changes what the experts do, is seen by whoever records, and leaves no trace behind."""

import pytest
import torch

from moe_lessons import AttentionConfig, ModelConfig, MoEConfig, Transformer
from moe_lessons.tracing import record_routing, steer_routing


def build(moe: MoEConfig | None) -> Transformer:
    sizes = {"vocab_size": 31, "dim": 16, "n_layers": 2, "hidden_dim": 24, "max_length": 16}
    return Transformer(ModelConfig(**sizes, attention=AttentionConfig(n_heads=2), moe=moe))


model, tokens = build(MoEConfig(n_routed_experts=4, top_k=1, hidden_dim=8)), torch.arange(10)[None]


def all_to_expert_3(layer, routing):
    return routing._replace(experts=torch.full_like(routing.experts, 3))


@pytest.mark.parametrize("recorder_first", [True, False])
def test_a_forced_route_is_taken_and_recorded_whichever_block_came_first(recorder_first):
    if recorder_first:
        with record_routing(model) as trace, steer_routing(model, all_to_expert_3), torch.no_grad():
            forced = model(tokens)
    else:
        with steer_routing(model, all_to_expert_3), record_routing(model) as trace, torch.no_grad():
            forced = model(tokens)
    assert (trace.experts == 3).all()
    assert not torch.equal(forced, model(tokens))


def test_the_model_is_bit_identical_before_and_after():
    before = model(tokens)
    with steer_routing(model, all_to_expert_3):
        pass
    assert torch.equal(model(tokens), before)
    with pytest.raises(RuntimeError, match="inside"), steer_routing(model, all_to_expert_3):
        raise RuntimeError("inside")
    assert torch.equal(model(tokens), before)


def test_a_dense_model_cannot_be_steered():
    with pytest.raises(ValueError, match="no router"), steer_routing(build(None), all_to_expert_3):
        pass
