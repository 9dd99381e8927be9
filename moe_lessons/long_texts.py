"""How attention reads long texts, described: which keys are picked, and what stands for many tokens at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from moe_lessons.concerns import require, require_positive

if TYPE_CHECKING:
    from moe_lessons.attention_config import RopeScaling

KINDS = ("window", "sparse", "heavy")


@dataclass(frozen=True, kw_only=True)
class IndexerConfig:
    """A lightning indexer: small heads that say which few keys a token attends to (arXiv:2512.02556, section 2.1)."""

    n_heads: int
    head_dim: int
    top_k: int  # keys that are attended to; a token with no more than these behind it sees them all

    def __post_init__(self) -> None:
        require_positive(self, "n_heads", "head_dim", "top_k")


@dataclass(frozen=True, kw_only=True)
class CompressionConfig:
    """Entries that stand for several tokens each, made by gated pooling (DeepSeek-V4, arXiv:2606.19348, section 2.3).

    A "sparse" layer pools few tokens an entry, neighbors overlapping, and attends to those that an indexer picks; a
    "heavy" one pools many and attends to all; a "window" layer has no entries.
    """

    layers: tuple[Literal["window", "sparse", "heavy"], ...]  # the kind of each layer of the model
    indexer: IndexerConfig | None = None  # of sparse layers; its top_k are entries
    sparse_rate: int = 4  # tokens from one entry to the next
    heavy_rate: int = 128
    rope_theta: float = 160_000.0  # of layers with entries
    rope_scaling: "RopeScaling | None" = None

    def __post_init__(self) -> None:
        require(
            isinstance(self.layers, Sequence) and not isinstance(self.layers, str),
            f"layers is {self.layers!r}, but must be a list with the kind of each layer",
        )
        object.__setattr__(self, "layers", tuple(self.layers))  # JSON and TOML know lists alone
        for kind in self.layers:
            require(kind in KINDS, f"layers has {kind!r}, but each must be 'window', 'sparse' or 'heavy'")
        require_positive(self, "sparse_rate", "heavy_rate")
        require(
            self.indexer is not None or "sparse" not in self.layers,
            "indexer is None, but sparse layers need one to pick their entries; give it",
        )
        require(self.rope_theta > 0, f"rope_theta is {self.rope_theta}, but must be above 0; 160000 is usual")

    def rate(self, layer: int) -> int:
        """Tokens from one entry of a layer to the next; 0 where it has none."""
        return {"window": 0, "sparse": self.sparse_rate, "heavy": self.heavy_rate}[self.layers[layer]]


@dataclass(frozen=True, kw_only=True)
class SharedKVAttentionConfig:
    """Attention with one vector a token that is every head's key and value.

    DeepSeek-V4 (arXiv:2606.19348, section 2.3). Each token sees the last `window` tokens, and where there is a
    compression, entries that stand for those before.
    """

    n_heads: int
    head_dim: int
    rope_head_dim: int  # the last numbers of a head, which its position turns, and turns back in what is gathered
    q_lora_rank: int  # numbers of the query's latent
    window: int
    output_groups: int  # groups of heads, each with a matrix of its own in front of the output's
    output_rank: int  # numbers that a group's matrix makes
    sinks: bool = True  # one more learned score a head, whose share goes nowhere (arXiv:2309.17453)
    rope_theta: float = 10_000.0  # of layers without entries
    rope_scaling: "RopeScaling | None" = None
    compression: CompressionConfig | None = None

    def __post_init__(self) -> None:
        sizes = ("n_heads", "head_dim", "rope_head_dim", "q_lora_rank", "window", "output_groups", "output_rank")
        require_positive(self, *sizes)
        require(
            self.rope_head_dim % 2 == 0 and self.rope_head_dim <= self.head_dim,
            f"rope_head_dim is {self.rope_head_dim}, but must be even and at most head_dim = {self.head_dim}",
        )
        require(
            self.n_heads % self.output_groups == 0,
            f"output_groups is {self.output_groups}, but must divide n_heads = {self.n_heads} into equal groups",
        )
        require(self.rope_theta > 0, f"rope_theta is {self.rope_theta}, but must be above 0; 10000 is usual")
        indexer = self.compression.indexer if self.compression else None
        require(
            indexer is None or indexer.head_dim >= self.rope_head_dim,
            f"compression.indexer.head_dim is {indexer and indexer.head_dim}, but must be at least rope_head_dim = "
            f"{self.rope_head_dim}, the numbers of it that positions turn",
        )

    @property
    def rope_dim(self) -> int:
        """Numbers of a head that its position turns."""
        return self.rope_head_dim

    def kind(self, layer: int) -> str:
        """What a layer sees besides its window: "window" (nothing), "sparse" or "heavy"."""
        return "window" if self.compression is None else self.compression.layers[layer]

    @property
    def with_entries(self) -> "SharedKVAttentionConfig":
        """The same, turned everywhere as layers with entries are; ValueError where there is no compression."""
        if self.compression is None:
            raise ValueError("compression is None, but entries are asked for; give the attention a CompressionConfig")
        turned = {"rope_theta": self.compression.rope_theta, "rope_scaling": self.compression.rope_scaling}
        return replace(self, compression=None, **turned)
