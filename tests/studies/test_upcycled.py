"""Lesson 07's study of a mixture made of a trained dense model."""

import json

import pytest
import torch

from moe_lessons.resources import data_path
from moe_lessons.studies import upcycled
from moe_lessons.training.recipes import recipe


def test_the_mixture_begins_as_the_dense_model_and_the_new_one_does_not():
    ids = torch.arange(1, 30).unsqueeze(0)
    with torch.no_grad():
        dense, copies, _, new = (upcycled.begin(arm).eval()(ids) for arm in upcycled.ARMS)
    torch.testing.assert_close(copies, dense, rtol=0, atol=1e-4)
    assert (new - dense).abs().max() > 1


def test_trained_models_go_on_slowly_and_a_new_one_begins_fast():
    dense, copies, faster, new = (upcycled.settings(arm, 5.0, 0) for arm in upcycled.ARMS)
    fast = recipe("course-moe-clock").train_config(seconds=5)
    assert new.matrix_lr == fast.matrix_lr
    assert dense.matrix_lr == copies.matrix_lr == pytest.approx(upcycled.AGAIN * fast.matrix_lr)
    assert dense.matrix_lr < faster.matrix_lr < new.matrix_lr
    assert (dense.expert_every, copies.expert_every) == (1, upcycled.COPIES // upcycled.TOP_K)


def test_the_shipped_record_is_whole():
    kept = json.loads(data_path("studies/upcycled.json").read_text(encoding="utf-8"))
    assert {(run["arm"], run["seed"]) for run in kept["runs"]} == {(a, s) for a in upcycled.ARMS for s in range(3)}
    assert {run["seconds"] for run in kept["runs"]} == {60.0} and kept["before"] > 1
