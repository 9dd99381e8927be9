"""Which keys a token reads, by the kind of attention; `rule.js` is its twin, and a test runs both."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from moe_lessons.accounting.indexer import indexer_of
from moe_lessons.config import LatentAttentionConfig, ModelConfig, SharedKVAttentionConfig

KINDS = ("full", "window", "indexed", "sparse", "heavy")


class Reading(NamedTuple):
    """What one token reads."""

    tokens: list[int]  # as they are
    entries: list[int]  # entry e stands for the tokens from e * rate on, `rate` of them
    rate: int  # 0: there are no entries


def read_by(kind: str, ranks: Sequence[int], window: int, top_k: int, sparse_rate: int, heavy_rate: int) -> Reading:
    """What the token behind `ranks` reads; they say of each key up to itself how many an indexer likes better.

    An entry is liked as its best token is. Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, but must be one of: {', '.join(KINDS)}")
    time = len(ranks)
    if kind == "full":
        return Reading(list(range(time)), [], 0)
    if kind == "indexed":
        return Reading([key for key in range(time) if ranks[key] < top_k], [], 0)
    near = list(range(max(0, time - window), time))
    if kind == "window":
        return Reading(near, [], 0)
    rate = sparse_rate if kind == "sparse" else heavy_rate
    entries = list(range(time // rate))  # whole groups alone
    if kind == "sparse":
        best = [min(ranks[entry * rate : (entry + 1) * rate]) for entry in entries]
        entries = sorted(sorted(entries, key=best.__getitem__)[:top_k])
    return Reading(near, entries, rate)


def layer_sizes(config: ModelConfig, layer: int) -> dict[str, int]:
    """What `at_length` needs to know of a published layer; 0: no such thing, or no limit."""
    heads, indexer = config.attention, indexer_of(config, layer)
    picks = {"top_k": indexer.top_k if indexer else 0, "index_numbers": indexer.head_dim if indexer else 0}
    if isinstance(heads, LatentAttentionConfig):
        numbers = heads.kv_lora_rank + heads.qk_rope_head_dim
        return {"window": 0, "numbers": numbers, "rate": 0, **picks}
    if isinstance(heads, SharedKVAttentionConfig):
        rate = heads.compression.rate(layer) if heads.compression else 0
        return {"window": heads.window, "numbers": heads.head_dim, "rate": rate, **picks}
    numbers = 2 * heads.sizes.n_kv_heads * heads.sizes.head_dim
    return {"window": heads.window_of(layer) or 0, "numbers": numbers, "rate": 0, **picks}


def at_length(sizes: dict[str, Any], length: int) -> tuple[int, int, int]:
    """What the last of `length` tokens reads, what an indexer scores for it, and the numbers that the layer keeps."""
    near = min(length, sizes["window"]) if sizes["window"] else length
    many = length // sizes["rate"] if sizes["rate"] else near  # what may be picked from
    picked = min(many, sizes["top_k"]) if sizes["top_k"] else many
    scored = many if picked < many else 0
    if not sizes["rate"]:
        return picked, scored, near * (sizes["numbers"] + sizes["index_numbers"])
    return near + picked, scored, near * sizes["numbers"] + many * (sizes["numbers"] + sizes["index_numbers"])
