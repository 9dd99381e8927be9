"""Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1).

The keys and values of all heads are made from one small latent, so only the latent is kept of each token. Positions
cannot turn what is yet to be made from it, so a few numbers beside it carry them: one turned key for all heads.
"""

from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import ModelConfig
from moe_lessons.model.cache import LatentCache
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.rope import Rotation, rotate
from moe_lessons.model.rope_scaling import logit_scale


class LatentQueries(NamedTuple):
    """What each head looks for, without regard to position and by position."""

    nope: Float[Tensor, "batch heads new nope"]
    rope: Float[Tensor, "batch heads new rope"]  # turned by the query's position


class Latents(NamedTuple):
    """All that is kept of a token: kv_lora_rank + qk_rope_head_dim numbers."""

    latents: Float[Tensor, "batch time latent"]  # normalized
    rope_keys: Float[Tensor, "batch time rope"]  # turned by the token's position, the same for all heads


class Unpacked(NamedTuple):
    """What ordinary attention works with, made from latents."""

    keys: Float[Tensor, "batch heads time qk"]  # nope and rope side by side
    values: Float[Tensor, "batch heads time value"]


class LatentAttention(nn.Module):
    """Attention whose keys and values are unpacked from latents, or not even that: both ways give the same numbers.

    `absorb` chooses the way: True never unpacks, False always does; None unpacks to train and to read a prompt, and
    absorbs to continue what is in a cache, where that needs fewer products.
    """

    def __init__(self, config: ModelConfig, layer: int, absorb: bool | None = None) -> None:
        super().__init__()
        sizes = config.latent_attention
        self.layer, self.absorb = layer, absorb
        self.n_heads, self.rope_dim = sizes.n_heads, sizes.qk_rope_head_dim
        self.scale = sizes.qk_head_dim**-0.5 * logit_scale(sizes.rope_scaling)
        if sizes.q_lora_rank is None:
            self.compress_query, self.query_latent_norm = nn.Identity(), nn.Identity()
        else:
            self.compress_query = nn.Linear(config.dim, sizes.q_lora_rank, bias=False)
            self.query_latent_norm = RMSNorm(sizes.q_lora_rank, sizes.norm_eps)
        self.query = nn.Linear(sizes.q_lora_rank or config.dim, sizes.n_heads * sizes.qk_head_dim, bias=False)
        self.compress = nn.Linear(config.dim, sizes.kv_lora_rank, bias=False)
        self.latent_norm = RMSNorm(sizes.kv_lora_rank, sizes.norm_eps)
        self.rope_key = nn.Linear(config.dim, sizes.qk_rope_head_dim, bias=False)
        self.key = nn.Linear(sizes.kv_lora_rank, sizes.n_heads * sizes.qk_nope_head_dim, bias=False)
        self.value = nn.Linear(sizes.kv_lora_rank, sizes.n_heads * sizes.v_head_dim, bias=False)
        self.output = nn.Linear(sizes.n_heads * sizes.v_head_dim, config.dim, bias=False)

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], by: Rotation, cache: LatentCache | None = None
    ) -> Float[Tensor, "batch time dim"]:
        queries, kept = self.queries(hidden, by), self.latents(hidden, by)
        if cache is not None:
            kept = Latents(*cache.update(self.layer, *kept))
        absorb = self.absorb
        if absorb is None:
            absorb = cache is not None and self.absorbing_is_cheaper(hidden.shape[1], kept.latents.shape[1])
        mixed = self.absorbed(queries, kept) if absorb else self.unpacked(queries, kept)
        return self.output(rearrange(mixed, "batch heads new value -> batch new (heads value)"))

    def queries(self, hidden: Float[Tensor, "batch new dim"], by: Rotation) -> LatentQueries:
        """Each head's query, its last numbers turned by position."""
        return self.by_head(self.query(self.query_latent_norm(self.compress_query(hidden))), by)

    def by_head(self, queries: Float[Tensor, "batch new _"], by: Rotation) -> LatentQueries:
        """The queries of all heads side by side as each head's own, turned."""
        queries = rearrange(queries, "batch new (heads qk) -> batch heads new qk", heads=self.n_heads)
        nope, rope = queries.split([queries.shape[-1] - self.rope_dim, self.rope_dim], dim=-1)
        return LatentQueries(nope, rotate(rope, by))

    def latents(self, hidden: Float[Tensor, "batch new dim"], by: Rotation) -> Latents:
        """What is kept of each token."""
        turned = rotate(self.rope_key(hidden)[:, None], by)[:, 0]
        return Latents(self.latent_norm(self.compress(hidden)), turned)

    def unpack(self, kept: Latents) -> Unpacked:
        """Keys and values of all heads, as many numbers as ordinary attention keeps."""
        split = "batch time (heads size) -> batch heads time size"
        nope = rearrange(self.key(kept.latents), split, heads=self.n_heads)
        rope = kept.rope_keys[:, None].expand(-1, self.n_heads, -1, -1)
        values = rearrange(self.value(kept.latents), split, heads=self.n_heads)
        return Unpacked(torch.cat([nope, rope], dim=-1), values)

    def unpacked(
        self, queries: LatentQueries, kept: Latents, visible: Bool[Tensor, "batch 1 new time"] | None = None
    ) -> Float[Tensor, "batch heads new value"]:
        """Unpack keys and values of every token and attend to them: the way for training and for long prompts.

        `visible` says which of the past each query sees; None: all of it.
        """
        keys, values = self.unpack(kept)
        new, time = queries.nope.shape[2], keys.shape[2]
        mask = past(new, time, keys.device) if visible is None and new not in (1, time) else visible
        causal = new == time and visible is None
        query, key, value = _same_width(torch.cat(queries, dim=-1), keys, values)
        mixed = F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal, scale=self.scale)
        return mixed[..., : values.shape[-1]]

    def absorbed(
        self, queries: LatentQueries, kept: Latents, visible: Bool[Tensor, "batch 1 new time"] | None = None
    ) -> Float[Tensor, "batch heads new value"]:
        """Attend to the latents themselves: the way for generation, whose cost no longer grows with unpacking.

        q . (K c) = (K^T q) . c, so the key matrix K is applied to the one query instead of all latents c, and the
        value matrix to the one mixture of latents.
        """
        key = rearrange(self.key.weight, "(heads nope) latent -> heads nope latent", heads=self.n_heads)
        value = rearrange(self.value.weight, "(heads value) latent -> heads value latent", heads=self.n_heads)
        wanted = einsum(queries.nope, key, "batch heads new nope, heads nope latent -> batch heads new latent")
        compare = "batch heads new size, batch time size -> batch heads new time"
        scores = einsum(wanted, kept.latents, compare) + einsum(queries.rope, kept.rope_keys, compare)
        new, time = scores.shape[-2:]
        visible = past(new, time, scores.device) if visible is None else visible
        scores = (scores * self.scale).masked_fill(~visible, float("-inf"))
        shares = scores.softmax(dim=-1)
        mixed = einsum(shares, kept.latents, "batch heads new time, batch time latent -> batch heads new latent")
        return einsum(mixed, value, "batch heads new latent, heads value latent -> batch heads new value")

    def absorbing_is_cheaper(self, new: int, time: int) -> bool:
        """Whether `new` queries over `time` tokens need fewer products with latents than with what they unpack to."""
        latent, unpacked = self.compress.out_features, (self.key.out_features + self.value.out_features) // self.n_heads
        absorbed = new * (latent * unpacked + time * 2 * latent)  # the matrices for each query, then latents alone
        return absorbed < time * (latent * unpacked + new * unpacked)  # the matrices for each token, then its numbers


def _same_width(*parts: Tensor) -> tuple[Tensor, ...]:
    """Zeros behind the narrower ones, which change no product: the CPU's fused kernel takes one width only.

    It is up to six times as fast as the plain one. Where the fused one is switched off, nothing is added.
    """
    width = max(part.shape[-1] for part in parts)
    fused = parts[0].device.type == "cpu" and torch.backends.cuda.flash_sdp_enabled()  # the switch of all devices
    missing = [width - part.shape[-1] if fused else 0 for part in parts]
    return tuple(F.pad(part, (0, n)) if n else part for part, n in zip(parts, missing, strict=True))


def past(new: int, time: int, device: torch.device) -> Tensor:
    """Which of `time` positions each of the last `new` may see."""
    return torch.ones(new, time, dtype=torch.bool, device=device).tril(time - new)
