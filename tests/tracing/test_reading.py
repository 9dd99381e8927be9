"""How a mixture is read, on made-up ones that are called in odd ways: read right, or refused with the reason."""

import numpy as np
import pytest
import torch
from odd_mixtures import EXPERTS, Model, recorded
from torch import nn

from moe_lessons.tracing import RoutingTrace, find_routers, record_routing, steer_routing
from moe_lessons.widgets import RouterView


def by_hand(model: Model, trace) -> None:
    """Each layer's answer, made again from the record and the experts' own matrices."""
    for row, layer in enumerate(model.layers):
        tokens, answer = layer.heard
        made = torch.zeros_like(answer)
        for rank in range(trace.top_k):
            one = torch.einsum(
                "ti,toi->to", tokens, layer.experts.matrices[torch.from_numpy(trace.experts[row, :, rank])]
            )
            made += one * torch.from_numpy(trace.weights[row, :, rank, None])
        torch.testing.assert_close(made, answer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ["tokens chosen weights", "weights tokens chosen", "chosen weights tokens"])
@pytest.mark.parametrize("named", [False, True])
def test_arguments_in_any_order_with_or_without_names_are_told_apart(order, named):
    model = Model(order=order, named=named)
    trace = recorded(model)
    by_hand(model, trace)
    assert trace.rule_known and trace.rule.normalize and trace.top_k == 2


@pytest.mark.parametrize("says", ["chosen logits weights", "logits weights chosen", "weights chosen logits"])
def test_a_router_answers_in_any_order(says):
    model = Model(says=says)
    trace = recorded(model)
    by_hand(model, trace)
    for row, layer in enumerate(model.layers):
        np.testing.assert_array_equal(trace.logits[row], layer.logits.numpy())


def test_a_block_that_chooses_by_itself_is_read_by_the_rule_that_its_logits_follow():
    model = Model(says="logits")
    trace = recorded(model)
    by_hand(model, trace)
    assert trace.rule_known
    with pytest.raises(ValueError, match="does not return logits, weights and experts"):
        find_routers(model)[0].understand((torch.zeros(1, EXPERTS),))


def test_probabilities_in_place_of_logits_are_taken_as_what_they_are():
    model = Model(says="probabilities weights chosen")
    trace = recorded(model)
    by_hand(model, trace)
    assert trace.rule_known and trace.rule.score_function == "softmax"
    np.testing.assert_allclose(np.exp(trace.logits[0]).sum(axis=-1), 1, rtol=1e-5)


def test_weights_of_no_rule_are_recorded_and_forced_but_not_knocked_out(tmp_path):
    model = Model(odd_weights=True)
    trace = recorded(model)
    by_hand(model, trace)
    assert not trace.rule_known and "by a rule of its own" in repr(find_routers(model)[0])
    with pytest.raises(
        ValueError, match="follows no rule that tracing knows; its routing can be recorded, and replaced"
    ):
        assert find_routers(model)[0].rule is None
    with pytest.raises(ValueError, match="chooses by no rule that tracing knows, so knobs other than its own"):
        trace.routed(trace.knobs.__class__(top_k=1))
    with pytest.raises(ValueError, match="chooses by no rule tracing knows, so the view's knobs would say nothing"):
        RouterView(trace)
    assert not RoutingTrace.load(trace.save(tmp_path / "odd")).rule_known

    def swap(layer, routing):
        return routing._replace(experts=routing.experts.flip(1))

    with steer_routing(model, swap):
        swapped = recorded(model)
    by_hand(model, swapped)
    np.testing.assert_array_equal(swapped.experts[0], trace.experts[0, :, ::-1])


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ("mask", "is given no table of each token's experts"),
        ("twice", "is given an expert twice for one token"),
        ("two weights", "is given 2 tables of weights for one of experts"),
        ("silent", "no module beside Experts answers with the experts that it is given, nor with logits they follow"),
        ("squared", "weighed by hand, do not add up to what it answers"),
        ("more choices", f"scores {EXPERTS + 1} choices, but Experts has {EXPERTS} experts"),
    ],
)
def test_what_cannot_be_proved_is_refused_in_one_sentence_with_layer_and_reason(spoiled, reason):
    with pytest.raises(ValueError, match=f"^the routing of layer 0 cannot be read: .*{reason}.*; use a model that"):
        recorded(Model(spoiled=spoiled))


def test_one_layer_that_cannot_be_read_among_others_leaves_no_trace():
    model = Model()
    model.layers[1] = Model(spoiled="squared").layers[1]
    with pytest.raises(ValueError, match="^the routing of layer 1 cannot be read"):
        recorded(model)


def test_nothing_is_left_on_a_model_and_a_changed_setting_is_noticed():
    model = Model()
    recorded(model)
    assert find_routers(model)[0].rule.top_k == 2
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for layer in model.layers:
        layer.gate.top_k = 3
    trace = recorded(model)
    by_hand(model, trace)
    assert trace.top_k == 3 and trace.rule.top_k == 3 and find_routers(model)[0].rule.top_k == 3


def test_a_rehearsal_is_unheard_and_leaves_randomness_and_training_as_they_were():
    model = Model().train()
    calls = []
    model.layers[0].register_forward_hook(lambda *heard: calls.append(1))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with record_routing(model) as trace, torch.no_grad():
        assert find_routers(model)[1].n_experts == EXPERTS
        assert torch.equal(torch.rand(3), expected)
        model(torch.tensor([[1, 2, 3]]))
    assert trace.n_tokens == 3 and all(module.training for module in model.modules())


def test_a_model_that_does_not_run_on_tokens_alone_says_so():
    model = Model(needs="pixels")
    with pytest.raises(
        ValueError, match="does not run on tokens alone .*; make a pass of your own inside record_routing"
    ):
        assert find_routers(model)[0].rule is None
    with record_routing(model) as trace, torch.no_grad():
        model(torch.tensor([[1, 2, 3]]), pixels=torch.zeros(1))
    by_hand(model, trace)
    assert find_routers(model)[0].rule.top_k == 2


def test_experts_that_see_a_part_of_the_tokens_at_a_time_are_refused():
    model = Model(spoiled="in parts")
    with pytest.raises(ValueError, match="layer 0 routed 11 of a pass's 22 tokens at once"):
        recorded(model)


def test_a_compiled_model_is_recorded_as_it_was_written():
    model = Model()
    plain = recorded(model)
    compiled = torch.compile(model, backend="eager")
    compiled(torch.tensor([[1, 2, 3]]))
    np.testing.assert_array_equal(recorded(compiled).experts, plain.experts)
    inside = Model()
    inside.compile(backend="eager")
    np.testing.assert_array_equal(recorded(inside).experts, plain.experts)
    assert isinstance(compiled, nn.Module)
