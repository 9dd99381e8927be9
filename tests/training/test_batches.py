"""Batches: every window once an epoch, by seed and step alone."""

import numpy as np
import pytest
import torch

from moe_lessons.training.batches import Batches


def test_an_epoch_reads_every_window_once_and_targets_are_the_next_tokens():
    ids = np.arange(1000, dtype=np.uint16)
    batches = Batches(ids, batch_size=4, seq_len=10, seed=3)
    seen = []
    for step in range(batches.windows // 4):
        inputs, targets = batches(step)
        assert torch.equal(inputs + 1, targets)
        seen += inputs.flatten().tolist()
    assert len(seen) == len(set(seen))
    assert len(seen) > 950


def test_batches_depend_on_seed_and_step_alone():
    ids = np.arange(500, dtype=np.uint16)
    one, two = Batches(ids, 4, 10, seed=1), Batches(ids, 4, 10, seed=1)
    later = one(37)[0]
    for step in range(37):
        two(step)
    assert torch.equal(two(37)[0], later)
    assert not torch.equal(Batches(ids, 4, 10, seed=2)(37)[0], later)


@pytest.mark.parametrize("length", [12, 13, 20, 22])
def test_the_shortest_possible_text_still_makes_batches(length):
    inputs, _ = Batches(np.arange(length, dtype=np.uint16), 3, 10, seed=0)(5)
    assert inputs.shape == (3, 10)


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="seq_len"):
        Batches(np.arange(11, dtype=np.uint16), 3, 10, seed=0)
