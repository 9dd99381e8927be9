"""A layer of a model whose layers know more than numbers: the tokens' ids, their places, or several streams."""

from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.config import ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.block import Block, attention_layer
from moe_lessons.model.cache import Cache
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.hash_routes import HashMoE
from moe_lessons.model.hyper_connections import HyperConnection, read_streams, write_streams
from moe_lessons.model.moe import MoE
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.reading import Reading
from moe_lessons.model.shaped_block import block_of
from moe_lessons.model.shaped_moe import feed_forward_of, mixture_of
from moe_lessons.model.shared_kv_attention import SharedKVAttention


class ReadingBlock(nn.Module):
    """As Block, but with hyper-connections, hash routes, or attention that asks where its tokens stand."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        shared, moe, hyper = config.attention, config.moe_of(layer), config.hyper_connections
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.shares_kv = isinstance(shared, SharedKVAttentionConfig)
        self.attention = SharedKVAttention(config, layer) if self.shares_kv else attention_layer(config, layer)
        self.feed_forward_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward: SwiGLU | MoE | HashMoE
        if moe is None:
            self.feed_forward = feed_forward_of(config, config.hidden_dim)
        elif layer < moe.n_dense_layers + moe.n_hash_layers:
            self.feed_forward = HashMoE(config, layer)
        else:
            self.feed_forward = mixture_of(config)
        self.around_attention = HyperConnection(config.dim, hyper, config.norm_eps) if hyper else None
        self.around_feed_forward = HyperConnection(config.dim, hyper, config.norm_eps) if hyper else None

    def forward(
        self, hidden: Float[Tensor, "batch time *streams dim"], reading: Reading, cache: Cache | None = None
    ) -> Float[Tensor, "batch time *streams dim"]:
        by = reading if self.shares_kv else reading.near
        ids = (reading.tokens,) if isinstance(self.feed_forward, HashMoE) else ()
        if self.around_attention is None or self.around_feed_forward is None:
            hidden = hidden + self.attention(self.attention_norm(hidden), by, cache)
            return hidden + self.feed_forward(self.feed_forward_norm(hidden), *ids)
        weights = self.around_attention(hidden)
        output = self.attention(self.attention_norm(read_streams(hidden, weights.read)), by, cache)
        hidden = write_streams(hidden, output, weights)
        weights = self.around_feed_forward(hidden)
        output = self.feed_forward(self.feed_forward_norm(read_streams(hidden, weights.read)), *ids)
        return write_streams(hidden, output, weights)


def layer_block(config: ModelConfig, layer: int) -> Block | ReadingBlock:
    """The kind of layer that the configuration asks for."""
    return ReadingBlock(config, layer) if config.reads_tokens else block_of(config, layer)
