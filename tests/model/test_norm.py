"""Normalization, of one vector and of all heads as one."""

import math

import pytest
import torch
from torch.nn import functional as F

from moe_lessons.model.norm import FEW_NUMBERS, JointRMSNorm, RMSNorm, normalize_rms


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


@pytest.mark.parametrize("shape", [(16,), (1, 1, 16), (2, 3, 16), (1, 4, 5, 16)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_few_vectors_without_gradients_are_normalized_as_pytorch_does_it(shape, size):
    vectors, weight = size * torch.randn(shape), torch.randn(16)
    with torch.no_grad():
        result = normalize_rms(vectors, weight, 1e-5)
    torch.testing.assert_close(result, F.rms_norm(vectors, (16,), weight, 1e-5), rtol=2e-6, atol=2e-6)


def test_rows_of_heads_that_lie_apart_are_each_normalized():
    vectors, weight = torch.randn(1, 3, 4, 16).transpose(1, 2), torch.randn(16)
    with torch.inference_mode():
        torch.testing.assert_close(normalize_rms(vectors, weight, 1e-5), F.rms_norm(vectors, (16,), weight, 1e-5))
        assert normalize_rms(torch.zeros(2, 16), weight, 1e-5).eq(0).all()


def test_for_training_and_for_many_vectors_it_is_pytorchs_own_to_the_bit():
    few, many, weight = torch.randn(2, 16), torch.randn(FEW_NUMBERS // 16 + 1, 16), torch.randn(16)
    assert torch.equal(normalize_rms(few, weight, 1e-5), F.rms_norm(few, (16,), weight, 1e-5))
    with torch.no_grad():
        assert torch.equal(normalize_rms(many, weight, 1e-5), F.rms_norm(many, (16,), weight, 1e-5))
        halves = few.bfloat16(), weight.bfloat16()
        assert torch.equal(normalize_rms(*halves, 1e-5), F.rms_norm(halves[0], (16,), halves[1], 1e-5))
