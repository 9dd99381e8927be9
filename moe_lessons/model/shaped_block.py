"""Layers whose parts are not the plain ones: other gates, experts with biases, norms on the way out."""

from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.config import ModelConfig
from moe_lessons.model.block import Block, attention_layer
from moe_lessons.model.cache import Cache
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.rope import Rotation
from moe_lessons.model.shaped_moe import feed_forward_of, mixture_of


class ShapedBlock(Block):
    """A block with a gate of its own, or with biases in its mixture of experts."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        nn.Module.__init__(self)  # none of Block's own parts, which would take their memory first
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = attention_layer(config, layer)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = (
            mixture_of(config) if config.is_sparse(layer) else feed_forward_of(config, config.hidden_dim)
        )


class OutputNormBlock(ShapedBlock):
    """Attention and feed-forward are normalized before and after (Gemma 2, arXiv:2408.00118, section 2)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.attention_output_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward_output_norm = RMSNorm(config.dim, config.norm_eps)

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], by: Rotation, cache: Cache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        hidden = hidden + self.attention_output_norm(self.attention(self.attention_norm(hidden), by, cache))
        return hidden + self.feed_forward_output_norm(self.feed_forward(self.feed_forward_norm(hidden)))


def block_of(config: ModelConfig, layer: int) -> Block:
    """The kind of block that the configuration describes."""
    if config.output_norms:
        return OutputNormBlock(config, layer)
    return Block(config, layer) if config.has_plain_blocks else ShapedBlock(config, layer)
