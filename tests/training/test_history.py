"""The record of a run: each step's loss and each expert's work, counted once."""

import json

import numpy as np
import pytest
import torch
from tiny_run import assert_same_to_the_bit, config, corpus, model
from torch.utils.checkpoint import checkpoint

from moe_lessons.tracing.steer import steer_routing
from moe_lessons.training import train


def test_the_history_counts_each_steps_work_once_by_layer_and_expert():
    own, seen = model(), []

    def watch(step, routings):
        seen.append(
            (step, [[sum(int(e) == i for e in r.experts.flatten()) for i in range(4)] for r in routings.values()])
        )

    history = train(own, corpus(), config(steps=5), watch=watch, progress=False)
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]
    assert history.loads.tolist() == [loads for _, loads in seen]
    assert (history.loads.sum(axis=2) == 2 * 16 * 2).all()  # sequences, tokens, choices


def test_a_dense_run_has_no_loads():
    seen = []
    history = train(model(False), corpus(), config(steps=2), watch=lambda *given: seen.append(given), progress=False)
    assert history.loads.shape == (0, 0, 0)
    assert history.summary()["loads"] == []
    assert seen == [(1, {}), (2, {})]


def test_load_and_bias_are_the_same_when_activations_are_computed_again():
    """torchtitan counted twice what the backward pass computed a second time."""
    plain, thrifty = model(), model()
    for block in thrifty.blocks:
        forward = block.forward
        block.forward = lambda *given, forward=forward: checkpoint(forward, *given, use_reentrant=False)
    runs = [train(one, corpus(), config(steps=4, z_loss=0.01), progress=False) for one in (plain, thrifty)]
    assert np.array_equal(runs[0].loads, runs[1].loads)
    assert_same_to_the_bit(plain, thrifty)


def test_two_models_trained_in_turn_do_not_share_their_counts():
    """nanoMoE's counters were a global."""
    alone = train(model(), corpus(), config(steps=3), progress=False)
    other = model(seed=7)

    def in_between(step, routings):
        train(other, corpus(), config(steps=1), progress=False)

    assert np.array_equal(
        train(model(), corpus(), config(steps=3), watch=in_between, progress=False).loads, alone.loads
    )


def test_a_choice_of_weight_zero_is_no_work():
    def drop_the_second(layer, routing):
        return routing._replace(weights=routing.weights * torch.tensor([1.0, 0.0]))

    own = model()
    with steer_routing(own, drop_the_second):
        history = train(own, corpus(), config(steps=2), progress=False)
    assert (history.loads.sum(axis=2) == 2 * 16).all()


def test_the_summary_keeps_the_last_step_and_loses_no_loss():
    history = train(model(), corpus(), config(steps=23), progress=False)
    curve = history.summary(n_points=5)["curve"]
    assert len(curve) == 5
    assert curve[-1][0] == 23
    sizes = np.diff([0, *(row[0] for row in curve)])
    mean = float((sizes * [row[2] for row in curve]).sum() / 23)
    assert mean == pytest.approx(np.mean([p["loss"] for p in history.points]), abs=1e-3)


def test_loads_survive_a_stop_and_the_summary_keeps_their_mean(tmp_path):
    whole = train(model(), corpus(), config(steps=9), progress=False)
    train(model(), corpus(), config(steps=4), checkpoint=tmp_path / "run", progress=False)
    run = {"checkpoint": tmp_path / "run", "resume": True, "progress": False}
    rest = train(model(), corpus(), config(steps=9), **run)
    assert rest.loads.shape == (9, 2, 4)
    assert np.array_equal(rest.loads[:4].sum(axis=2), whole.loads[:4].sum(axis=2))
    rows = rest.summary(n_loads=4)["loads"]
    assert [step for step, _ in rows] == [3, 6, 9]
    assert np.allclose([load for _, load in rows], rest.loads.reshape(3, 3, 2, 4).mean(axis=1), atol=0.051)
    assert json.dumps(rows)
