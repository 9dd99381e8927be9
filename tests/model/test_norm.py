"""Normalization, of one vector and of all heads as one."""

import math

import torch

from moe_lessons.model.norm import JointRMSNorm, RMSNorm


def test_joint_normalization_is_that_of_all_heads_as_one_vector():
    vectors, norm = torch.randn(2, 3, 5, 4), JointRMSNorm(12, 1e-5)
    norm.weight.data = torch.arange(12.0)
    result = norm(vectors)
    for batch in range(2):
        for time in range(5):
            joined = vectors[batch, :, time].flatten()
            expected = joined / (joined.square().mean() + 1e-5).sqrt() * norm.weight
            assert torch.allclose(result[batch, :, time].flatten(), expected, atol=1e-5)


def test_rms_norm_divides_by_the_root_mean_square():
    x = torch.randn(3, 5, dtype=torch.float64)
    norm = RMSNorm(5, eps=1e-3).double()
    norm.weight.data = torch.arange(1.0, 6.0, dtype=torch.float64)
    for row, result in zip(x, norm(x), strict=True):
        size = math.sqrt(sum(float(v) ** 2 for v in row) / 5 + 1e-3)
        assert torch.allclose(result, row / size * norm.weight)
