"""Steering changes what the experts do, is seen by whoever records, and leaves no trace behind."""

import pytest
import torch
from small import small_model

from moe_lessons import MoEConfig, Transformer
from moe_lessons.tracing import knock_out, only_expert, record_routing, sent_to, steer_routing


def build(moe: MoEConfig | None) -> Transformer:
    return small_model(moe=moe)


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


def route_without(router, hidden, off) -> tuple[list, list]:
    """One token after the other, in plain Python: the best experts that are left, and their shares."""
    chosen, shares = [], []
    for scores in (hidden @ router.weight.T).softmax(dim=-1).tolist():
        wanted = [score + bias for score, bias in zip(scores, router.expert_bias.tolist(), strict=True)]
        left = [expert for expert in range(len(scores)) if expert not in off]
        best = sorted(left, key=lambda expert: -wanted[expert])[: router.top_k]
        chosen.append(best)
        shares.append([scores[expert] / sum(scores[expert] for expert in best) for expert in best])
    return chosen, shares


def test_tokens_pass_a_knocked_out_expert_by_for_their_next_best_and_all_others_stay():
    moe = MoEConfig(n_routed_experts=5, top_k=2, hidden_dim=8, expert_bias=True)
    biased = build(moe)
    router = biased.blocks[1].feed_forward.router
    router.expert_bias += torch.tensor([0.3, -0.1, 0.0, 0.2, 0.0])
    seen = []
    watch = router.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad(), record_routing(biased) as own:
        biased(tokens)
    with torch.no_grad(), steer_routing(biased, knock_out(biased, [3, 0], layers=[1])), record_routing(biased) as cut:
        biased(tokens)
    watch.remove()
    assert (own.experts[0] == cut.experts[0]).all()
    experts, weights = route_without(router, seen[1], {0, 3})
    assert cut.experts[1].tolist() == experts
    assert torch.allclose(torch.from_numpy(cut.weights[1]), torch.tensor(weights))
    untouched = ~((own.experts[1] == 0) | (own.experts[1] == 3)).any(axis=1)
    assert (own.experts[1] == cut.experts[1])[untouched].all() and not untouched.all()


def test_one_expert_alone_gives_the_model_whose_layers_are_that_expert():
    alone = build(MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8))
    with steer_routing(alone, only_expert(alone, 2)):
        forced = alone(tokens)
    for block in alone.blocks:
        stack = block.feed_forward.experts
        stack.forward = lambda hidden, experts, weights, stack=stack: expert(stack, hidden, 2)
    assert torch.allclose(forced, alone(tokens), atol=1e-6)


def expert(stack, hidden, number):
    gate, up = (hidden @ stack.gate_up[number].T).chunk(2, dim=-1)
    return (torch.nn.functional.silu(gate) * up) @ stack.down[number].T


def test_sent_elsewhere_a_token_is_weighed_by_its_own_scores_and_the_routers_rule():
    for normalize, route_scale in ((True, 1.0), (False, 2.5)):
        changed = build(
            MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, normalize=normalize, route_scale=route_scale)
        )
        router = changed.blocks[0].feed_forward.router
        routing = router(torch.randn(6, 16))
        same = sent_to(router, routing, routing.experts)
        assert all(torch.equal(a, b) for a, b in zip(same, routing, strict=True))
        flipped = sent_to(router, routing, routing.experts.flip(1))
        assert torch.equal(flipped.weights, routing.weights.flip(1))


def test_sent_where_all_scores_are_zero_a_token_gets_weights_of_zero_and_no_nan():
    """Sigmoids of large negative logits underflow; a sum of zeros divides nothing."""
    config = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, score_function="sigmoid")
    router = build(config).blocks[0].feed_forward.router
    router.weight.data.fill_(-300.0)
    routing = router(torch.ones(3, 16))
    assert not routing.scores.any()
    assert torch.equal(sent_to(router, routing, routing.experts.flip(1)).weights, torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda model: knock_out(model, [4]), "expert 4 cannot be knocked out: layer 0 has experts 0 to 3"),
        (lambda model: knock_out(model, [0, 1, 2, 3]), "knocking out 4 of 4 experts leaves too few for top_k = 1"),
        (lambda model: knock_out(model, [0], layers=[0, 7]), "layer 7 has no router; the layers 0, 1 have one"),
        (lambda model: only_expert(model, -1), "expert -1 cannot take every token"),
    ],
)
def test_an_expert_or_layer_that_is_not_there_is_one_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        change(model)


def test_a_recording_has_as_many_experts_as_the_steered_routing():
    built = build(MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8))
    with steer_routing(built, only_expert(built, 3)), record_routing(built) as trace, torch.no_grad():
        built(tokens)
    assert (trace.top_k, trace.experts.shape) == (1, (2, 10, 1))
    assert (trace.experts == 3).all()
