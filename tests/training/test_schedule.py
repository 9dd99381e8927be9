"""The learning rate over a run."""

import pytest
from tiny_run import config, corpus, model

from moe_lessons.training import train
from moe_lessons.training.schedule import learning_rate_factor


def test_the_learning_rate_climbs_to_one_and_falls_to_the_end():
    assert learning_rate_factor(0.0, 0.1) == 0
    assert learning_rate_factor(0.05, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(0.1, 0.1) == 1
    assert learning_rate_factor(0.55, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(1.0, 0.1) == 0
    assert learning_rate_factor(7.0, 0.1, final=0.2) == pytest.approx(0.2)
    assert learning_rate_factor(0.0, 0.0) == 1


def test_each_step_has_the_rate_of_the_share_of_the_run_that_is_done_after_it():
    own = model(False)
    run = config(steps=10, warmup=0.2, final_lr=0.1)
    rates = [point["lr"] for point in train(own, corpus(), run, progress=False).points]
    down = [1 - 0.9 * (done - 2) / 8 for done in range(2, 11)]  # a straight line from 1 to 0.1
    assert rates == pytest.approx([0.5, *down])
    assert rates == pytest.approx([learning_rate_factor(done / 10, 0.2, 0.1) for done in range(1, 11)])
