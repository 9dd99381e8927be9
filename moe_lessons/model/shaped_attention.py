"""Grouped-query attention that is more than q . k over the whole past: windows, sinks, biases, caps, other scales.

Models without these have `Attention`, whose forward pass knows nothing of them.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from moe_lessons.config import ModelConfig
from moe_lessons.model.attention import Attention, Projections
from moe_lessons.model.cache import KVCache
from moe_lessons.model.latent_attention import past
from moe_lessons.model.norm import JointRMSNorm
from moe_lessons.model.rope import Rotation
from moe_lessons.model.rope_scaling import own_rotation
from moe_lessons.model.sinks import shares_beside_sinks


class ShapedAttention(Attention):
    """Attention within a window (arXiv:2004.05150, section 3.1), and with a sink in each head (arXiv:2309.17453).

    A sink is one more learned score in a head's softmax. It has no value, so that a head can attend to nothing
    (gpt-oss, arXiv:2508.10925, section 2.2). Caps hold scores softly (Gemma 2, arXiv:2408.00118, section 2).
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        heads = config.grouped_attention
        self.window = heads.window_of(layer)
        self.scale = (heads.query_scalar or self.head_dim) ** -0.5
        self.cap = heads.score_cap
        self.sinks = nn.Parameter(torch.zeros(self.n_heads)) if heads.sinks else None
        if heads.joint_qk_norm:
            self.query_norm = JointRMSNorm(self.n_heads * self.head_dim, config.norm_eps)
            self.key_norm = JointRMSNorm(self.n_kv_heads * self.head_dim, config.norm_eps)

        if heads.bias:
            for product in (self.query, self.key, self.value, self.output):
                product.bias = nn.Parameter(torch.zeros(product.out_features))

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], by: Rotation, cache: KVCache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        queries, keys, values = self.project(hidden, by)
        if cache is not None:
            keys, values = cache.update(self.layer, keys, values)
        mixed = self.mix(queries, keys, values)
        return self.output(mixed.transpose(1, 2).flatten(2))  # batch time (heads head_dim)

    def project(self, hidden: Float[Tensor, "batch time dim"], by: Rotation) -> Projections:
        """As Attention's, by this layer's kind of rotation."""
        return super().project(hidden, own_rotation(by, self.head_dim, self.window is not None))

    def mix(
        self,
        queries: Float[Tensor, "batch heads new head_dim"],
        keys: Float[Tensor, "batch kv_heads time head_dim"],
        values: Float[Tensor, "batch kv_heads time head_dim"],
    ) -> Float[Tensor, "batch heads new head_dim"]:
        """What the queries, the last `new` of `time` positions, gather; sinks gather nothing.

        Texts far longer than a window are read a window at a time, so that most of what is hidden is never computed.
        """
        new, time = queries.shape[2], keys.shape[2]
        if self.window is not None and new > 2 * self.window:
            parts, end = [], time - new
            for some in queries.split(self.window, dim=2):
                end += some.shape[2]
                near = slice(max(0, end - some.shape[2] - self.window + 1), end)
                parts.append(self.mix(some, keys[:, :, near], values[:, :, near]))
            return torch.cat(parts, dim=2)
        shares = self.shares(queries, keys).unflatten(1, (keys.shape[1], -1)).flatten(2, 3)
        return (shares @ values).view(queries.shape)

    def shares(
        self,
        queries: Float[Tensor, "batch heads new head_dim"],
        keys: Float[Tensor, "batch kv_heads time head_dim"],
    ) -> Float[Tensor, "batch heads new time"]:
        """What values are multiplied by: 1 in all for each query, or less where a sink takes the rest."""
        batch, heads, new, head_dim = queries.shape
        kv_heads, time = keys.shape[1:3]
        # Heads that share keys and values are asked like so many more positions of one head.
        scores = queries.reshape(batch, kv_heads, -1, head_dim) @ keys.mT
        scores = (scores * self.scale).view(batch, heads, new, time)
        if self.cap is not None:
            scores = self.cap * (scores / self.cap).tanh()
        if new > 1 or (self.window is not None and time > self.window):
            scores = scores.masked_fill(~visible(new, time, self.window, scores.device), float("-inf"))
        return shares_beside_sinks(scores, self.sinks)


def visible(new: int, time: int, window: int | None, device: torch.device) -> Bool[Tensor, "new time"]:
    """Which of `time` positions each of the last `new` sees: those up to itself, `window` of them at most.

    >>> visible(2, 4, 2, torch.device("cpu"))
    tensor([[False,  True,  True, False],
            [False, False,  True,  True]])
    """
    seen = past(new, time, device)
    return seen if window is None else seen.triu(time - new - window + 1)
