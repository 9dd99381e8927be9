"""Drift: the share of choices that were not made before."""

import numpy as np
import pytest

from moe_lessons.tracing.drift import NOBODY, drift, new_choices


def test_new_choices_do_not_care_for_order_and_nobody_is_no_choice():
    before = np.array([[0, 1], [2, 3], [4, NOBODY]])
    now = np.array([[1, 0], [2, 5], [NOBODY, NOBODY]])
    assert new_choices(now, before).tolist() == [[False, False], [False, True], [False, False]]


def test_drift_is_the_share_of_choices_that_were_not_made_before():
    experts = np.random.default_rng(0).integers(-1, 4, (5, 3, 20, 2))
    for change, layers in enumerate(drift(experts)):
        for layer, share in enumerate(layers):
            pairs = zip(experts[change + 1, layer].tolist(), experts[change, layer].tolist(), strict=True)
            made = [(expert, before) for now, before in pairs for expert in now if expert >= 0]
            assert share == pytest.approx(sum(expert not in before for expert, before in made) / len(made))
    assert not drift(np.full((2, 1, 3, 1), NOBODY)).any()
    assert drift(experts[:1]).shape == (0, 3)
