"""The seat: a router takes the place of the course's own, and nothing else in the model changes."""

import numpy as np
import pytest
import torch
from contestants import CONFIG, Base, K, N

from moe_lessons import Transformer
from moe_lessons.capstone import HashRouter, SoftmaxRouter, chosen
from moe_lessons.capstone.contract import packed, seat_of, seat_routers, spread
from moe_lessons.tracing import record_routing

pytestmark = pytest.mark.usefixtures("cache")


def test_a_seated_softmax_router_gives_the_models_own_logits():
    model, ids = Transformer(CONFIG).eval(), torch.arange(24).view(2, 12)
    expected = model(ids)
    own = [block.feed_forward.router.weight.detach().clone() for block in model.blocks]
    seat_routers(model, SoftmaxRouter)
    for block, weight in zip(model.blocks, own, strict=True):
        block.feed_forward.router.own.weight.data.copy_(weight)
    assert torch.equal(model.eval()(ids), expected)


def test_a_layer_in_which_nobody_sits_is_refused_by_its_number():
    assert isinstance(seat_of(seat_routers(Transformer(CONFIG), SoftmaxRouter), -1).own, SoftmaxRouter)
    with pytest.raises(ValueError, match=r"layer 1 has no seat; call seat_routers"):
        seat_of(Transformer(CONFIG), 1)


def test_only_the_router_differs_between_contestants():
    one, two = (seat_routers(Transformer(CONFIG), router) for router in (SoftmaxRouter, HashRouter))
    others = dict(two.named_parameters())
    assert others and all(torch.equal(dict(one.named_parameters())[name], p) for name, p in others.items())


def test_a_trace_of_a_seated_router_shows_its_own_choices():
    model, ids = seat_routers(Transformer(CONFIG), HashRouter).eval(), torch.arange(12)[None]
    with record_routing(model) as trace, torch.no_grad():
        model(ids)
    table = model.blocks[1].feed_forward.router.own.table
    np.testing.assert_array_equal(trace.experts[1], table[:12])
    assert (trace.n_experts, trace.top_k) == (N, K)


def test_a_router_with_a_score_function_of_its_own_is_seated_and_recorded():
    class Own(Base):
        score_function, route_scale = "cosine", 2.0

    model = seat_routers(Transformer(CONFIG), Own).eval()
    with record_routing(model) as trace, torch.no_grad():
        model(torch.arange(12)[None])
    assert (trace.score_function, trace.route_scale) == (CONFIG.moe.score_function, 2.0)


def test_spread_and_chosen_agree():
    experts, weights = torch.tensor([[2, 0], [1, 3]]), torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    routing = chosen(experts, weights, N)
    assert routing.scores.tolist() == [[0.25, 0, 0.75, 0], [0, 0.5, 0, 0.5]]
    assert torch.equal(spread(experts, weights, N), routing.scores)


def test_packing_is_the_way_back_and_keeps_gradients_and_signs():
    weights = torch.tensor([[0.0, 0.5, 0, 0], [0.1, 0, -0.7, 0.2], [0, 0, 0, 0]], requires_grad=True)
    experts, few = packed(weights)
    assert experts[:2].tolist() == [[1, 0, 2], [2, 3, 0]] and few.shape == (3, 3)
    assert torch.equal(spread(experts, few, N), weights) and few.requires_grad
    assert packed(torch.zeros(0, N))[0].shape == (0, 1)
