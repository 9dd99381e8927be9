"""The feed-forward layer, against its product written out."""

import torch

from moe_lessons.model.feed_forward import SwiGLU


def test_swiglu_is_one_product_gated_by_another():
    layer, x = SwiGLU(4, 6), torch.randn(4)
    gate, up = layer.gate.weight @ x, layer.up.weight @ x
    gated = torch.stack([g / (1 + torch.exp(-g)) * u for g, u in zip(gate, up, strict=True)])
    assert torch.allclose(layer(x), layer.down.weight @ gated, atol=1e-6)
