"""The two ends of the model: the table that tokens are looked up in, and the product that makes logits."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.config import ModelConfig
from moe_lessons.model.hyper_connections import StreamsEmbedding, StreamsNorm
from moe_lessons.model.norm import RMSNorm


class ScaledEmbedding(nn.Embedding):
    """Embeddings times one number, sqrt(dim) in Gemma (arXiv:2403.08295), so that a tied head keeps small numbers."""

    def __init__(self, vocab_size: int, dim: int, scale: float) -> None:
        super().__init__(vocab_size, dim)
        self.scale = scale

    def forward(self, input: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch dim"]:
        return super().forward(input) * self.weight.new_tensor(self.scale)  # rounded to the weights' precision


class CappedHead(nn.Linear):
    """Logits become cap * tanh(logits / cap), which keeps them in (-cap, cap) (arXiv:2408.00118, section 2)."""

    def __init__(self, dim: int, vocab_size: int, cap: float) -> None:
        super().__init__(dim, vocab_size, bias=False)
        self.cap = cap

    def forward(self, input: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch vocab"]:
        return self.cap * (super().forward(input) / self.cap).tanh()


def embedding_of(config: ModelConfig) -> nn.Embedding:
    """The table of the tokens' vectors."""
    if config.hyper_connections is not None:
        return StreamsEmbedding(config.vocab_size, config.dim, config.hyper_connections.n_streams)
    if config.embedding_scale is None:
        return nn.Embedding(config.vocab_size, config.dim)
    return ScaledEmbedding(config.vocab_size, config.dim, config.embedding_scale)


def last_norm_of(config: ModelConfig) -> RMSNorm:
    """The norm in front of the head; where there are several streams, it reads them as one vector first."""
    if config.hyper_connections is not None:
        return StreamsNorm(config.dim, config.hyper_connections, config.norm_eps)
    return RMSNorm(config.dim, config.norm_eps)


def head_of(config: ModelConfig) -> nn.Linear:
    """What makes logits of the last layer's vectors."""
    if config.logit_cap is None:
        return nn.Linear(config.dim, config.vocab_size, bias=False)
    return CappedHead(config.dim, config.vocab_size, config.logit_cap)
