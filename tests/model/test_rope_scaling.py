"""Rotary positions scaled for longer texts, against Hugging Face's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moe_lessons import RopeScaling
from moe_lessons.model.rope_scaling import logit_scale, scaled_frequencies, vector_scale


@settings(max_examples=60)
@given(
    ramp=st.sampled_from(["index", "turns"]),
    rope_dim=st.sampled_from([2, 4, 8, 64]),
    theta=st.sampled_from([100.0, 10_000.0, 500_000.0]),
    factor=st.sampled_from([1.0, 2.0, 8.0, 40.0]),
    length=st.sampled_from([16, 512, 8192]),
    fast=st.sampled_from([4.0, 32.0]),
)
def test_scaled_frequencies_equal_hugging_faces(ramp, rope_dim, theta, factor, length, fast):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = RopeScaling(
        factor=factor, original_length=length, fast=fast, ramp=ramp, mscale=0.0 if ramp == "turns" else 1.0
    )
    rope = {"rope_theta": theta, "factor": factor, "original_max_position_embeddings": length}
    if ramp == "index":
        rope |= {"rope_type": "yarn", "beta_fast": fast, "beta_slow": 1.0}
    else:
        rope |= {"rope_type": "llama3", "high_freq_factor": fast, "low_freq_factor": 1.0}
    config = LlamaConfig(head_dim=rope_dim, max_position_embeddings=65_536, rope_parameters=rope)
    frequencies, size = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config)
    assert torch.allclose(scaled_frequencies(rope_dim, theta, scaling), frequencies, rtol=1e-5)
    assert vector_scale(scaling) == pytest.approx(size)
    assert logit_scale(scaling) == 1.0


def test_scaling_leaves_fast_pairs_alone_and_slows_the_others_down():
    plain = 10_000.0 ** -(torch.arange(32) / 32)
    ratio = scaled_frequencies(64, 10_000.0, RopeScaling(factor=40.0, original_length=4096)) / plain
    assert torch.allclose(ratio[:8], torch.ones(8))
    assert torch.allclose(ratio[-6:], torch.full((6,), 1 / 40))
    assert (ratio.diff() <= 1e-6).all()
