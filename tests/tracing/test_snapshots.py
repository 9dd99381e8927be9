"""Snapshots of a text during a training: they hold what a recording holds, and leave the model alone."""

import numpy as np
import pytest
import torch
from small import small_model

from moe_lessons.config import MoEConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.tracing import Snapshots, record_routing, steer_routing
from moe_lessons.tracing.drift import NOBODY


def model(**changes) -> Transformer:
    moe = MoEConfig(**({"n_routed_experts": 4, "top_k": 2, "hidden_dim": 8} | changes))
    return small_model(vocab_size=50, moe=moe)


def test_snapshots_hold_what_a_recording_of_the_text_holds_and_leave_the_model_alone():
    own, ids = model(noise=True).train(), torch.arange(10)[None]
    snapshots = Snapshots(own, ids, every=2)
    random = torch.get_rng_state()
    for step in range(1, 6):
        own.blocks[0].feed_forward.router.weight.data.add_(0.3)
        snapshots(step, {})
    assert own.training
    assert torch.equal(random, torch.get_rng_state())
    assert snapshots.steps == [0, 2, 4]
    assert snapshots.experts.shape == (3, 2, 10, 2)
    with record_routing(own.eval()) as trace, torch.no_grad():
        own(ids)
    own.train()
    snapshots(6, {})
    assert np.array_equal(snapshots.experts[-1], trace.experts)


def test_snapshots_of_steered_routes_say_nobody_where_a_choice_weighs_nothing():
    def first_alone(layer, routing):
        if layer == 0:
            return routing._replace(weights=routing.weights[:, :1], experts=routing.experts[:, :1])
        return routing._replace(weights=routing.weights * torch.tensor([0.0, 1.0]))

    own = model()
    with steer_routing(own, first_alone):
        experts = Snapshots(own, torch.arange(10)[None]).experts
    assert experts.shape == (1, 2, 10, 2)
    assert (experts[0, 0, :, 1] == NOBODY).all() and (experts[0, 1, :, 0] == NOBODY).all()
    assert (experts[0, 0, :, 0] != NOBODY).all() and (experts[0, 1, :, 1] != NOBODY).all()


def test_a_snapshot_needs_a_router_and_a_distance():
    with pytest.raises(ValueError, match="every is 0, but"):
        Snapshots(model(), torch.arange(4)[None], every=0)
