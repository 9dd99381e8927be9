"""Hyper-connections: several residual streams, from which each layer reads and into which it writes.

Zhu et al. (arXiv:2409.19606); Xie et al. (arXiv:2512.24880) make the streams' mixing doubly stochastic, so that
through any number of layers it is a mean of streams, which neither grows nor fades.
"""

from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.concerns import HyperConnectionConfig
from moe_lessons.model.norm import RMSNorm, normalize_rms

AT_FIRST = 0.01  # how much a token's own streams say in its weights before training (arXiv:2512.24880)


class StreamWeights(NamedTuple):
    """How a layer reads and writes the streams at each position."""

    read: Float[Tensor, "batch time streams"]
    write: Float[Tensor, "batch time streams"]
    mix: Float[Tensor, "batch time streams other"]  # each row and each column sums to 1


class HyperConnection(nn.Module):
    """The weights around one layer, made from all streams together (arXiv:2606.19348, equations 3 to 8)."""

    def __init__(self, dim: int, config: HyperConnectionConfig, norm_eps: float) -> None:
        super().__init__()
        self.streams, self.steps, self.eps, self.norm_eps = (
            config.n_streams,
            config.sinkhorn_steps,
            config.eps,
            norm_eps,
        )
        n = config.n_streams
        self.weight = nn.Parameter(torch.empty((2 + n) * n, n * dim))
        self.scale = nn.Parameter(torch.full((3,), AT_FIRST))
        self.bias = nn.Parameter(torch.cat([torch.zeros(2 * n), 4 * torch.eye(n).flatten()]))  # each keeps to itself

    def forward(self, streams: Float[Tensor, "batch time streams dim"]) -> StreamWeights:
        n = self.streams
        logits = F.linear(unit(streams, self.norm_eps), self.weight.float())
        read, write, mix = logits.split([n, n, n * n], dim=-1)
        of_read, of_write, of_mix = self.bias.float().split([n, n, n * n])
        by = self.scale.float()
        mix = rearrange(mix * by[2] + of_mix, "batch time (streams other) -> batch time streams other", streams=n)
        return StreamWeights(
            (read * by[0] + of_read).sigmoid() + self.eps,
            2 * (write * by[1] + of_write).sigmoid(),
            doubly_stochastic(mix, self.steps, self.eps),
        )


def doubly_stochastic(
    logits: Float[Tensor, "batch time streams other"], steps: int, eps: float = 0.0
) -> Float[Tensor, "batch time streams other"]:
    """Positive matrices with rows and columns that sum to 1: both divided by their sums in turn, columns last.

    Sinkhorn and Knopp (1967); `steps` counts the divisions of columns, the first of rows is a softmax.
    """
    matrices = logits.softmax(dim=-1) + eps
    for step in range(steps):
        if step:
            matrices = matrices / (matrices.sum(dim=-1, keepdim=True) + eps)
        matrices = matrices / (matrices.sum(dim=-2, keepdim=True) + eps)
    return matrices


def unit(streams: Float[Tensor, "batch time streams dim"], eps: float) -> Float[Tensor, "batch time _"]:
    """All streams of a position as one vector with a root mean square of 1, in float32."""
    flat = streams.flatten(2).float()
    return F.rms_norm(flat, flat.shape[-1:], eps=eps)


def read_streams(
    streams: Float[Tensor, "batch time streams dim"], weights: Float[Tensor, "batch time streams"]
) -> Float[Tensor, "batch time dim"]:
    """The one vector a position that a layer works on."""
    return einsum(streams, weights.to(streams.dtype), "batch time streams dim, batch time streams -> batch time dim")


def write_streams(
    streams: Float[Tensor, "batch time streams dim"], output: Float[Tensor, "batch time dim"], weights: StreamWeights
) -> Float[Tensor, "batch time streams dim"]:
    """The mixed streams with a layer's output on each."""
    mix, write = weights.mix.to(streams.dtype), weights.write.to(streams.dtype)
    mixed = einsum(mix, streams, "batch time streams other, batch time streams dim -> batch time other dim")
    return mixed + write[..., None] * output[:, :, None]


class StreamsEmbedding(nn.Embedding):
    """A token's embedding on each of several streams."""

    def __init__(self, vocab_size: int, dim: int, streams: int) -> None:
        super().__init__(vocab_size, dim)
        self.streams = streams

    def forward(self, input: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time streams dim"]:
        return super().forward(input)[:, :, None].expand(-1, -1, self.streams, -1)


class StreamsNorm(RMSNorm):
    """The last norm, of one vector that is read from all streams."""

    def __init__(self, dim: int, config: HyperConnectionConfig, eps: float) -> None:
        super().__init__(dim, eps)
        n = config.n_streams
        self.stream_eps = config.eps
        self.read = nn.Parameter(torch.empty(n, n * dim))
        self.read_scale, self.read_bias = nn.Parameter(torch.full((1,), AT_FIRST)), nn.Parameter(torch.zeros(n))

    def forward(self, hidden: Float[Tensor, "batch time streams dim"]) -> Float[Tensor, "batch time dim"]:
        logits = F.linear(unit(hidden, self.eps), self.read.float())
        weights = (logits * self.read_scale.float() + self.read_bias.float()).sigmoid() + self.stream_eps
        return normalize_rms(read_streams(hidden, weights), self.weight, self.eps)
