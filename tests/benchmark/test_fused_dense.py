"""The dense layer written by hand is the dense layer: the same result and the same gradients."""

import pytest
import torch

from moe_lessons.benchmark.fused_dense import fused_dense
from moe_lessons.model.feed_forward import SwiGLU


@pytest.mark.parametrize("tokens", [0, 1, 511, 512, 513, 1500])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_gives_swiglus_result_and_gradients(tokens, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer = SwiGLU(24, 40).double()
        hidden = torch.randn(tokens, 24, dtype=torch.float64, requires_grad=True)
        gate_up = torch.cat([layer.gate.weight, layer.up.weight])
        slope = torch.randn(tokens, 24, dtype=torch.float64)
        parameters = [hidden, layer.gate.weight, layer.up.weight, layer.down.weight]
        right = torch.autograd.grad(layer(hidden), parameters, slope)
        mine = fused_dense(hidden, gate_up, layer.down.weight)
        torch.testing.assert_close(mine, layer(hidden))
        torch.testing.assert_close(torch.autograd.grad(mine, parameters, slope), right)
    finally:
        torch.set_num_threads(before)


def test_a_gpu_is_refused_in_one_sentence():
    there = torch.empty(2, 4, device="meta")
    with pytest.raises(ValueError, match="the tokens are on meta, but fused_dense works on a CPU only; use SwiGLU"):
        fused_dense(there, there.new_empty(8, 4), there.new_empty(4, 4))
