"""Attention with grouped heads, against the sum over the past."""

import math

import pytest
import torch

from moe_lessons.model.attention import attend


@pytest.mark.parametrize(("new", "time"), [(6, 6), (1, 6), (3, 6)])
def test_attention_equals_the_sum_over_the_past(new, time):
    q, k, v = torch.randn(2, 4, new, 8), torch.randn(2, 2, time, 8), torch.randn(2, 2, time, 8)
    result = attend(q, k, v)
    for batch in range(2):
        for head in range(4):
            for row in range(new):
                seen = time - new + row + 1
                scores = k[batch, head // 2, :seen] @ q[batch, head, row] / math.sqrt(8)
                expected = scores.softmax(0) @ v[batch, head // 2, :seen]
                assert torch.allclose(result[batch, head, row], expected, atol=1e-6)
