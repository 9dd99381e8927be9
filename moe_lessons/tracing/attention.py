"""Watching where a model looks, through hooks on its attention layers."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from moe_lessons.model.attention import Attention, attention_weights
from moe_lessons.model.indexed_latent_attention import IndexedLatentAttention
from moe_lessons.model.latent_attention import LatentAttention
from moe_lessons.model.shaped_attention import ShapedAttention
from moe_lessons.model.shared_kv_attention import SharedKVAttention


class AttentionTrace:
    """The attention weights of the last forward pass, layer by layer."""

    def __init__(self) -> None:
        self.layers: list[np.ndarray] = []  # each float32 [batch, heads, time, time]

    @property
    def weights(self) -> Float[np.ndarray, "layers heads time time"]:
        """The first sequence's weights; rows are queries."""
        return np.stack([layer[0] for layer in self.layers])


@contextmanager
def record_attention(model: nn.Module) -> Iterator[AttentionTrace]:
    """Record the weights of each attention layer during one whole forward pass without a cache.

    What a sink takes is not among them, so that rows sum to less than 1 there.

    Raises ValueError for a model without attention layers of this package, or whose attention is sparse.
    """
    trace = AttentionTrace()
    layers = [block.attention for block in getattr(model, "blocks", ())]
    if not layers:
        raise ValueError("the model has no attention layer of moe_lessons to record; pass a Transformer")

    if any(isinstance(layer, IndexedLatentAttention | SharedKVAttention) for layer in layers):
        raise ValueError(
            "the model's attention picks what each token sees, or reads entries for many tokens, whose weights have no "
            "place in a square of tokens; record a model with another attention"
        )

    @torch.no_grad()
    def keep(module: Attention | LatentAttention, inputs: tuple, output: object) -> None:
        if isinstance(module, LatentAttention):
            hidden, by = inputs[:2]
            queries = torch.cat(module.queries(hidden, by), dim=-1)
            queries = queries * (module.scale * queries.shape[-1] ** 0.5)  # 1, but where rope scaling raises logits
            keys = module.unpack(module.latents(hidden, by)).keys
        else:
            queries, keys, _ = module.project(*inputs[:2])
        if isinstance(module, ShapedAttention):
            trace.layers.append(module.shares(queries, keys).float().cpu().numpy())
            return
        trace.layers.append(attention_weights(queries, keys).float().cpu().numpy())

    handles = [model.register_forward_pre_hook(lambda *_: trace.layers.clear())]
    handles += [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()
