"""How attention reads long texts, described: which keys an indexer picks; each description refuses nonsense itself."""

from dataclasses import dataclass

from moe_lessons.concerns import require_positive


@dataclass(frozen=True, kw_only=True)
class IndexerConfig:
    """A lightning indexer: small heads that say which few keys a token attends to (arXiv:2512.02556, section 2.1)."""

    n_heads: int
    head_dim: int
    top_k: int  # keys that are attended to; a token with no more than these behind it sees them all

    def __post_init__(self) -> None:
        require_positive(self, "n_heads", "head_dim", "top_k")
