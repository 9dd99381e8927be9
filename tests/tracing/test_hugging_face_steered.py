"""Hugging Face's mixtures of experts steered like ours, and shown by the same views."""

import copy

import numpy as np
import pytest
import torch
from tiny_families import FAMILIES, VOCAB, build, families, record, text

from moe_lessons.tracing import (
    find_routers,
    knock_out,
    observe_routing,
    only_expert,
    record_routing,
    sent_to,
    steer_routing,
    tracer,
)
from moe_lessons.tracing.rule import Knobs, route_with
from moe_lessons.tracing.specialization import share_explained
from moe_lessons.widgets import RouterView


def hooks_of(model: torch.nn.Module) -> list[tuple[int, int]]:
    return [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()]


@families
def test_recording_and_steering_leave_the_model_bit_identical(family):
    model, ids = build(family), text()
    with torch.no_grad():
        before, state, hooks = model(ids).logits, copy.deepcopy(model.state_dict()), hooks_of(model)
        with record_routing(model):
            assert torch.equal(model(ids).logits, before)
        with steer_routing(model, lambda layer, routing: routing):
            assert torch.equal(model(ids).logits, before)
        with pytest.raises(RuntimeError, match="on purpose"), record_routing(model):
            raise RuntimeError("on purpose")
        with (
            pytest.raises(RuntimeError, match="on purpose"),
            steer_routing(model, knock_out(model, [0])),
            observe_routing(model),
        ):
            raise RuntimeError("on purpose")
        assert torch.equal(model(ids).logits, before)
    assert hooks_of(model) == hooks
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@families
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm"])
def test_every_implementation_of_the_experts_can_be_recorded_and_steered(family, implementation):
    model, ids = build(family), text(time=8)
    model.set_experts_implementation("eager")
    plain = record(model, ids)
    with steer_routing(model, only_expert(model, 3)), torch.no_grad():
        forced = model(ids).logits
    model.set_experts_implementation(implementation)
    trace = record(model, ids)
    np.testing.assert_array_equal(trace.experts[0], plain.experts[0])
    np.testing.assert_allclose(trace.logits, plain.logits, rtol=1e-3, atol=1e-4)
    with steer_routing(model, only_expert(model, 3)), record_routing(model) as steered, torch.no_grad():
        torch.testing.assert_close(model(ids).logits, forced, rtol=1e-3, atol=1e-4)
    assert (steered.experts == 3).all() and steered.top_k == 1


@families
def test_knocking_an_expert_out_sends_its_tokens_to_the_next_best_of_the_rule(family):
    model, ids = build(family), text()
    first = FAMILIES[family][2][0]
    plain = record(model, ids)
    most = int(plain.load_per_expert()[0].argmax())
    with steer_routing(model, knock_out(model, [most], [first])), record_routing(model) as trace, torch.no_grad():
        model(ids)
    assert not (trace.experts[0] == most).any()
    knobs = Knobs(**{**vars(plain.knobs), "off": (most,)})
    by_rule = route_with(plain.logits[0], plain.bias[0], knobs)
    np.testing.assert_array_equal(trace.experts[0], by_rule.experts)
    np.testing.assert_allclose(trace.weights[0], by_rule.weights, rtol=1e-5)
    np.testing.assert_array_equal(trace.logits[0], plain.logits[0])


def test_a_knocked_out_expert_has_no_say_in_the_loss():
    model, ids = build("mixtral"), text()
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for layer in changed.model.layers:
            layer.mlp.experts.down_proj[5].normal_()
        with steer_routing(model, knock_out(model, [5])), steer_routing(changed, knock_out(changed, [5])):
            assert torch.equal(model(ids).logits, changed(ids).logits)
        assert not torch.equal(model(ids).logits, changed(ids).logits)


def test_a_route_can_be_forced_with_weights_as_the_router_weighs():
    model, ids = build("qwen3_moe"), text()
    routers = find_routers(model)
    wanted = torch.tensor([6, 1, 4])

    def force(layer, routing):
        return sent_to(routers[layer], routing, wanted.expand(len(routing.experts), 3))

    with steer_routing(model, force), record_routing(model) as trace, torch.no_grad():
        model(ids)
    assert (trace.experts == wanted.numpy()).all()
    np.testing.assert_allclose(trace.weights.sum(axis=-1), 1, rtol=1e-6)


class Letters:
    """A tokenizer in miniature."""

    document_id = 0

    def encode(self, text: str) -> list[int]:
        return [1 + ord(letter) % (VOCAB - 1) for letter in text]

    def pieces(self, ids: list[int]) -> list[str]:
        return [chr(97 + token % 26) for token in ids]


@families
def test_the_view_the_load_and_the_shares_take_such_a_trace_as_any_other(family):
    model = build(family)
    ask = tracer(model, Letters(), name=family)
    trace = ask("to whom it may concern")
    view = RouterView(trace, ask=ask)
    view.show("other words")
    assert view.message == "" and view.trace.n_tokens == len("other words")
    busiest = int(view.trace.load_per_expert()[-1].argmax())
    view.knobs = Knobs(**{**vars(trace.knobs), "off": (busiest,)})
    view.apply()
    assert view.message == ""
    assert trace.load_per_expert().sum() == trace.experts.size
    share = share_explained(trace.experts[0, :, 0], trace.token_ids)
    assert 0 <= share.raw <= 1 + 1e-9


@families
def test_knobs_applied_to_the_model_do_what_the_rule_says(family):
    model = build(family)
    ask = tracer(model, Letters())
    trace = ask("to whom it may concern")
    first = trace.layers[0]
    knobs = Knobs(**{**vars(trace.knobs), "off": (int(trace.load_per_expert()[0].argmax()),)})
    applied = ask.apply("to whom it may concern", knobs, [first])
    with steer_routing(model, knock_out(model, knobs.off, [first])), torch.no_grad():
        ids = torch.tensor([[0, *Letters().encode("to whom it may concern")]])
        logs = model(ids).logits[0].log_softmax(dim=-1)
    nats = -logs[:-1].gather(1, ids[0, 1:, None])[:, 0]
    np.testing.assert_allclose(applied.after.nats, nats.numpy(), rtol=1e-3, atol=1e-4)
