"""Frozen descriptions of attention with keys and values of heads, and with latents; each refuses nonsense itself."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from moe_lessons.concerns import RARE, SlidingWindow, require, require_above_zero, require_positive
from moe_lessons.long_texts import IndexerConfig


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """Rotary positions for texts longer than those of the training: slow angles grow `factor` times slower.

    The defaults are YaRN's (arXiv:2309.00071); ramp="turns", fast=4 and mscale=0 make Llama 3.1's (arXiv:2407.21783).
    """

    factor: float
    original_length: int  # longest sequence before the scaling
    fast: float = 32.0  # pairs that turn at least so often within original_length keep their angles
    slow: float = 1.0  # pairs that turn at most so often have theirs divided by factor
    ramp: Literal["index", "turns"] = "index"  # what the way between the two is linear in: the pair's index, its turns
    mscale: float = 1.0  # makes turned vectors longer: m(mscale) / m(mscale_all_dim), m(s) = 0.1 s ln(factor) + 1
    mscale_all_dim: float = 0.0  # makes latent attention's logits larger: m(mscale_all_dim) squared
    whole: bool = field(default=True, metadata=RARE)  # whether a ramp over the index begins and ends at whole ones

    def __post_init__(self) -> None:
        require(self.factor >= 1, f"factor is {self.factor}, but must be 1 or more: it makes texts longer")
        require_positive(self, "original_length")
        require(
            0 < self.slow <= self.fast and (self.slow < self.fast or self.ramp == "index"),
            f"slow is {self.slow} and fast is {self.fast}, but slow must be above 0 and below fast "
            "(or equal to it, where the ramp is over the pair's index)",
        )
        require(self.ramp in ("index", "turns"), f"ramp is {self.ramp!r}, but must be 'index' or 'turns'")
        for name in ("mscale", "mscale_all_dim"):
            value = getattr(self, name)
            require(value >= 0, f"{name} is {value}, but must be 0 or more; 0 leaves lengths alone")


class Heads(NamedTuple):
    """The sizes of grouped-query attention, each of them a number."""

    n_heads: int
    n_kv_heads: int
    head_dim: int


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Grouped-query attention with rotary positions (arXiv:2305.13245, arXiv:2104.09864)."""

    n_heads: int
    n_kv_heads: int | None = None  # None: one key-value head for each query head
    head_dim: int | None = None  # None: dim / n_heads, which ModelConfig fills in
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    qk_norm: bool = False  # RMSNorm over head_dim on queries and keys, before the rotation
    joint_qk_norm: bool = False  # the same over all heads together (OLMoE, arXiv:2409.02060)
    window: SlidingWindow | None = field(default=None, metadata=RARE)  # layers that see only the last positions
    # One more learned score a head, in each softmax, whose share of the attention goes nowhere (arXiv:2309.17453).
    sinks: bool = field(default=False, metadata=RARE)
    bias: bool = field(default=False, metadata=RARE)  # learned, added to queries, keys, values and the output
    query_scalar: float | None = field(default=None, metadata=RARE)  # scores are q . k / sqrt of it; None: head_dim
    # Scores s become cap * tanh(s / cap), which never leaves (-cap, cap) (Gemma 2, arXiv:2408.00118, section 2).
    score_cap: float | None = field(default=None, metadata=RARE)

    def __post_init__(self) -> None:
        require_positive(self, "n_heads")
        if self.n_kv_heads is None:
            object.__setattr__(self, "n_kv_heads", self.n_heads)
        else:
            require_positive(self, "n_kv_heads")
            require(
                self.n_heads % self.n_kv_heads == 0,
                f"n_heads is {self.n_heads} and n_kv_heads is {self.n_kv_heads}; "
                "n_heads must be a multiple of n_kv_heads, so choose a divisor",
            )
        if self.head_dim is not None:
            require_positive(self, "head_dim")
            require(
                self.head_dim % 2 == 0,
                f"head_dim is {self.head_dim}, but rotary positions turn pairs, so choose an even number",
            )
        require(self.rope_theta > 0, f"rope_theta is {self.rope_theta}, but must be above 0; 10000 is usual")
        require(
            not (self.qk_norm and self.joint_qk_norm),
            "qk_norm and joint_qk_norm are both true, but queries and keys are normalized once; choose one",
        )
        require_above_zero(self, "query_scalar", "score_cap")

    @property
    def sizes(self) -> Heads:
        """The three sizes as numbers; ValueError where head_dim is left to a ModelConfig that is not there yet."""
        if self.n_kv_heads is None or self.head_dim is None:
            raise ValueError("head_dim is None, but must be a number here; give it, or ask a ModelConfig's attention")
        return Heads(self.n_heads, self.n_kv_heads, self.head_dim)

    @property
    def rope_dim(self) -> int:
        """Numbers of a head that its position turns: all of them."""
        return self.sizes.head_dim

    @property
    def is_plain(self) -> bool:
        """Whether scores are q . k / sqrt(head_dim) over the whole past and nothing else takes part."""
        return not (self.window or self.sinks or self.bias or self.query_scalar or self.score_cap)

    def window_of(self, layer: int) -> int | None:
        """How many positions a layer's tokens see, themselves included; None: all before them."""
        return None if self.window is None else self.window.of(layer)


@dataclass(frozen=True, kw_only=True)
class LatentAttentionConfig:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1), with the paper's own names."""

    n_heads: int
    q_lora_rank: int | None = None  # numbers of the query's latent; None: queries come straight from the token
    kv_lora_rank: int  # numbers of the latent from which all heads' keys and values are made, and which is cached
    qk_nope_head_dim: int  # numbers of a query or key that know no position
    qk_rope_head_dim: int  # numbers that its position turns; in keys they are the same for all heads
    v_head_dim: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    norm_eps: float = 1e-6  # of the norms on both latents; the published code keeps it apart from ModelConfig's
    # Picks the tokens that each attends to; None: all before it.
    indexer: IndexerConfig | None = field(default=None, metadata=RARE)

    def __post_init__(self) -> None:
        require_positive(self, "n_heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
        if self.q_lora_rank is not None:
            require_positive(self, "q_lora_rank")
        require(
            self.qk_rope_head_dim % 2 == 0,
            f"qk_rope_head_dim is {self.qk_rope_head_dim}, but rotary positions turn pairs, so choose an even number",
        )
        require(self.rope_theta > 0, f"rope_theta is {self.rope_theta}, but must be above 0; 10000 is usual")
        require(self.norm_eps >= 0, f"norm_eps is {self.norm_eps}, but must be 0 or more")
        if self.indexer is not None:
            require(
                self.q_lora_rank is not None,
                "q_lora_rank is None, but the indexer's queries are made from that latent; give its size",
            )
            size = self.indexer.head_dim
            require(
                size >= self.qk_rope_head_dim,
                f"indexer.head_dim is {size}, but must be at least qk_rope_head_dim = {self.qk_rope_head_dim}, "
                "the numbers of it that positions turn",
            )

    @property
    def rope_dim(self) -> int:
        """Numbers of a head that its position turns."""
        return self.qk_rope_head_dim

    @property
    def qk_head_dim(self) -> int:
        """Numbers of one head's query or key."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim
