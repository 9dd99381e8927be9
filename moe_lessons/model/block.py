"""One layer of the model: attention, then a feed-forward, dense or sparse."""

from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.attention import Attention, JointNormAttention
from moe_lessons.model.cache import Cache
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.indexed_latent_attention import IndexedLatentAttention
from moe_lessons.model.latent_attention import LatentAttention
from moe_lessons.model.moe import MoE
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.rope import Rotation
from moe_lessons.model.shaped_attention import ShapedAttention


class Block(nn.Module):
    """Tokens talk to each other, then each thinks for itself; both only add to the stream that passes through."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = attention_layer(config, layer)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        sparse = config.is_sparse(layer)
        # `sparse` says that `moe` is there, which pyright cannot know; lesson 03 has these lines to the letter.
        self.feed_forward = (
            MoE(config.dim, config.moe)  # pyright: ignore[reportArgumentType]
            if sparse
            else SwiGLU(config.dim, config.hidden_dim)
        )

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], by: Rotation, cache: Cache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        hidden = hidden + self.attention(self.attention_norm(hidden), by, cache)
        return hidden + self.feed_forward(self.feed_forward_norm(hidden))


def attention_layer(config: ModelConfig, layer: int) -> Attention | LatentAttention:
    """The kind of attention that the configuration describes; shared keys and values need a ReadingBlock."""
    attention = config.attention
    if isinstance(attention, LatentAttentionConfig):
        return LatentAttention(config, layer) if attention.indexer is None else IndexedLatentAttention(config, layer)
    if isinstance(attention, SharedKVAttentionConfig):
        raise ValueError("keys and values are shared, which a Block does not know; build the layer by layer_block")
    if not attention.is_plain:
        return ShapedAttention(config, layer)
    return JointNormAttention(config, layer) if attention.joint_qk_norm else Attention(config, layer)
