"""The distribution from which the next token is drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moe_lessons.model.generate import next_token_distribution


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=2, max_size=12), st.floats(0.05, 1.0), st.floats(0.2, 3.0))
def test_top_p_keeps_the_smallest_set_that_reaches_p(values, top_p, temperature):
    logits = torch.tensor(values, dtype=torch.float64)
    kept = next_token_distribution(logits, temperature, top_p)
    assert kept.sum() == pytest.approx(1)
    full = (logits / temperature).softmax(0)
    chosen = kept > 0
    assert full[chosen].sum() >= top_p - 1e-9
    weakest = full[chosen].min()
    assert full[chosen].sum() - weakest < top_p + 1e-9
    assert (full[~chosen] <= weakest + 1e-12).all()


@pytest.mark.parametrize(("temperature", "top_p"), [(-1.0, 1.0), (1.0, 0.0), (1.0, 1.5)])
def test_impossible_sampling_settings_are_refused(temperature, top_p):
    with pytest.raises(ValueError, match="must be"):
        next_token_distribution(torch.zeros(3), temperature, top_p)
