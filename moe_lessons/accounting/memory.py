"""Bytes: of a model's numbers while it works and while it learns, and of what each token leaves in the cache."""

from typing import NamedTuple

from moe_lessons.accounting.flops import positions_seen
from moe_lessons.accounting.parameters import count_parameters
from moe_lessons.accounting.shared_kv import shared_kv_numbers, shared_kv_numbers_per_token, shared_kv_waiting
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig


def cache_bytes_per_token(config: ModelConfig, bytes_per_number: float = 2) -> int:
    """What a token leaves behind in all layers: keys and values of its heads, or the latent and the shared key.

    An indexer keeps a key of its own beside them; entries that stand for several tokens count with the share of one.
    Two bytes a number are bfloat16's. Behind a text as long as a sliding window, the layers that have one let go of
    as much again: `cache_bytes` says what a whole text takes.
    """
    return round(config.n_layers * _numbers_kept(config) * bytes_per_number)


def cache_bytes(config: ModelConfig, length: int, bytes_per_number: float = 2) -> int:
    """What a text of `length` tokens leaves behind: a layer with a sliding window keeps no more than that many.

    Where entries stand for several tokens, the room for those that wait for one is part of it.
    """
    if isinstance(config.attention, SharedKVAttentionConfig):
        return round(shared_kv_numbers(config, length) * bytes_per_number)
    return round(positions_seen(config, length) * _numbers_kept(config) * bytes_per_number)


class Kept(NamedTuple):
    """Numbers, or bytes, that one text leaves behind in all layers, by how they grow with it."""

    growing: float  # of each token, however long the text
    windowed: float = 0  # of each of the last `window` tokens
    window: int = 1
    fixed: float = 0  # of any text

    def at(self, length: float) -> float:
        """What a text of `length` tokens leaves behind."""
        return self.growing * length + self.windowed * min(length, self.window) + self.fixed


def numbers_kept(config: ModelConfig) -> Kept:
    """What `cache_bytes` counts, as a curve: an entry for many tokens counts in shares before it is whole."""
    heads = config.attention
    if isinstance(heads, SharedKVAttentionConfig):
        windowed = config.n_layers * heads.head_dim
        return Kept(shared_kv_numbers_per_token(config), windowed, heads.window, shared_kv_waiting(config))
    each, layers = _numbers_kept(config), config.n_layers
    if not isinstance(heads, AttentionConfig) or heads.window is None:
        return Kept(each * layers)
    short = sum(heads.window_of(layer) is not None for layer in range(layers))
    return Kept(each * (layers - short), each * short, heads.window.size)


def _numbers_kept(config: ModelConfig) -> float:
    """Of one token in one layer."""
    heads = config.attention
    if isinstance(heads, LatentAttentionConfig):
        return heads.kv_lora_rank + heads.qk_rope_head_dim + (heads.indexer.head_dim if heads.indexer else 0)
    if isinstance(heads, SharedKVAttentionConfig):
        return shared_kv_numbers_per_token(config) / config.n_layers
    return 2 * heads.sizes.n_kv_heads * heads.sizes.head_dim


def weight_bytes(config: ModelConfig, bytes_per_number: float = 2) -> int:
    """All parameters: idle experts lie in memory like busy ones."""
    return round(count_parameters(config).total * bytes_per_number)


def training_bytes(config: ModelConfig) -> int:
    """Weights, gradients and Adam's state in mixed precision, without activations: 16 bytes a parameter.

    Two each for weights and gradients in 16 bits, four each for the 32-bit weights and Adam's two averages (ZeRO,
    arXiv:1910.02054, section 3.1).
    """
    return 16 * count_parameters(config).total
