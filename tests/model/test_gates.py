"""Gates against their formulas, number by number."""

import math

import pytest
import torch

from moe_lessons.concerns import Gate
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.gates import GatedFeedForward, pass_gate


def silu(x: float, sharpness: float = 1.0) -> float:
    return x / (1 + math.exp(-sharpness * x))


def gelu(x: float) -> float:
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Gate(), lambda g, u: silu(g) * u),
        (Gate(activation="gelu"), lambda g, u: gelu(g) * u),
        (Gate(sharpness=1.702, shift=1.0), lambda g, u: silu(g, 1.702) * (u + 1)),
        (
            Gate(sharpness=1.702, limit=2.0, shift=1.0),
            lambda g, u: silu(min(g, 2), 1.702) * (max(-2, min(u, 2)) + 1),
        ),
        (Gate(activation="gelu", limit=1.0), lambda g, u: gelu(min(g, 1)) * max(-1, min(u, 1))),
    ],
)
def test_a_gate_is_its_formula(rule, expected):
    gate, up = torch.linspace(-5, 5, 21).repeat(21), torch.linspace(-4, 4, 21).repeat_interleave(21)
    right = torch.tensor([expected(g, u) for g, u in zip(gate.tolist(), up.tolist(), strict=True)])
    assert torch.allclose(pass_gate(rule, gate, up), right, atol=1e-5)


def test_the_default_gate_is_swiglu_to_the_bit():
    plain, gated = SwiGLU(8, 12), GatedFeedForward(8, 12, Gate())
    gated.load_state_dict(plain.state_dict())
    hidden = torch.randn(2, 5, 8)
    assert torch.equal(gated(hidden), plain(hidden))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"activation": "relu"}, ["'relu'", "'silu' or 'gelu'"]),
        ({"sharpness": 0.0}, ["sharpness is 0.0", "above 0"]),
        ({"activation": "gelu", "sharpness": 1.7}, ["sharpness is 1.7", "only activation 'silu'"]),
        ({"limit": 0.0}, ["limit is 0.0", "or None"]),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(values, words):
    with pytest.raises(ValueError) as error:
        Gate(**values)
    assert all(word in str(error.value) for word in words)
