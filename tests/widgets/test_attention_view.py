"""AttentionView: what it sends, and what it refuses."""

import numpy as np
import pytest
from view_samples import causal

from moe_lessons.widgets import AttentionView
from moe_lessons.widgets.shared.view import png


def test_the_browser_gets_each_weight_to_five_digits():
    weights = causal()
    view = AttentionView(list("abcde"), weights)
    sent = np.frombuffer(view.weights, "<u2").reshape(weights.shape) / 65535
    assert np.abs(sent - weights).max() < 1e-5


def test_attention_of_the_wrong_shape_or_kind_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"must be \(layers, heads, 4, 4\) for 4 pieces"):
        AttentionView(list("abcd"), causal())
    with pytest.raises(ValueError, match="give the weights after the softmax"):
        AttentionView(list("abcde"), causal() - 0.5)
    view = AttentionView(list("abcde"), causal())
    with pytest.raises(ValueError, match="layer is 2, but must be at least 0 and below 2"):
        view.layer = 2


def test_a_single_token_and_a_single_head_can_be_drawn():
    png(AttentionView(["a"], np.ones((1, 1, 1, 1))).figure())
