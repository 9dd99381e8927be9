"""What attention with one vector as key and value costs, and its entries that stand for many tokens.

DeepSeek-V4, arXiv:2606.19348, section 2.3; and what hyper-connections cost (arXiv:2512.24880).
"""

from moe_lessons.accounting.indexer import indexer_of, indexer_parameters
from moe_lessons.config import ModelConfig


def shared_kv_parameters(config: ModelConfig, layer: int) -> tuple[int, int]:
    """A layer's matrices, sinks and places' biases, and the gains of the norms inside its attention."""
    heads, dim = config.shared_kv_attention, config.dim
    all_heads = heads.n_heads * heads.head_dim
    matrices = heads.q_lora_rank * (dim + all_heads) + dim * heads.head_dim
    matrices += heads.output_rank * (all_heads + heads.output_groups * dim)
    gains = heads.q_lora_rank + heads.head_dim
    if heads.kind(layer) != "window":
        matrices += 2 * dim * _width(config, layer, heads.head_dim)  # content and gate
        gains += heads.head_dim
    of_indexer, its_gains = indexer_parameters(config, layer)
    return matrices + of_indexer + shared_kv_added(config, layer), gains + its_gains


def shared_kv_added(config: ModelConfig, layer: int) -> int:
    """Those among them that nothing is multiplied with."""
    heads = config.shared_kv_attention
    added = heads.n_heads if heads.sinks else 0
    if heads.compression is None:
        return added
    sizes = [heads.head_dim] if heads.kind(layer) != "window" else []
    sizes += [indexer.head_dim] if (indexer := indexer_of(config, layer)) else []
    return added + heads.compression.rate(layer) * sum(_width(config, layer, size) for size in sizes)


def shared_kv_seen(config: ModelConfig, time: int, layer: int) -> int:
    """Vectors that the last of `time` tokens attends to: those in its window, and entries, where picked or all."""
    heads = config.shared_kv_attention
    seen = min(time, heads.window)
    if heads.compression is None or not heads.compression.rate(layer):
        return seen
    entries, indexer = time // heads.compression.rate(layer), indexer_of(config, layer)
    return seen + (entries if indexer is None else min(entries, indexer.top_k))


def shared_kv_seen_by_all(config: ModelConfig, time: int, layer: int) -> int:
    """The sum of `shared_kv_seen` over a text's first, second, ... and last of `time` tokens."""
    heads = config.shared_kv_attention
    width = min(time, heads.window)
    seen = width * (2 * time - width + 1) // 2
    if heads.compression is None or not (rate := heads.compression.rate(layer)):
        return seen
    indexer, entries = indexer_of(config, layer), time // rate
    most = entries if indexer is None else min(entries, indexer.top_k)
    # The j-th entry seen at once is seen from token j * rate on, for as long as the text goes.
    return seen + most * (time + 1) - rate * most * (most + 1) // 2


def shared_kv_numbers(config: ModelConfig, length: int) -> int:
    """Numbers that a cache keeps of a text of `length` tokens, with its room for tokens that wait for an entry."""
    heads = config.shared_kv_attention
    numbers = config.n_layers * min(length, heads.window) * heads.head_dim + shared_kv_waiting(config)
    for layer, rate in _layers_with_entries(config):
        numbers += length // rate * sum(_sizes_of_entries(config, layer))
    return numbers


def shared_kv_waiting(config: ModelConfig) -> int:
    """Numbers of the room for tokens that wait for an entry: content and gate of each, in all layers."""
    numbers = 0
    for layer, rate in _layers_with_entries(config):
        waiting = 2 * rate - 1 if config.shared_kv_attention.kind(layer) == "sparse" else rate - 1
        numbers += 2 * waiting * sum(_width(config, layer, size) for size in _sizes_of_entries(config, layer))
    return numbers


def shared_kv_numbers_per_token(config: ModelConfig) -> float:
    """Numbers that one more token of a long text takes in all layers together: its shares of entries."""
    return sum(sum(_sizes_of_entries(config, layer)) / rate for layer, rate in _layers_with_entries(config))


def _layers_with_entries(config: ModelConfig) -> list[tuple[int, int]]:
    """The layers whose entries stand for several tokens, and for how many."""
    compression = config.shared_kv_attention.compression
    rates = [] if compression is None else [compression.rate(layer) for layer in range(config.n_layers)]
    return [(layer, rate) for layer, rate in enumerate(rates) if rate]


def connection_parameters(config: ModelConfig) -> tuple[int, int]:
    """Hyper-connections around one layer's two halves: matrices, and what is added or scales."""
    if config.hyper_connections is None:
        return 0, 0
    streams = config.hyper_connections.n_streams
    rows = (2 + streams) * streams
    return 2 * rows * streams * config.dim, 2 * (rows + 3)


def last_reading_parameters(config: ModelConfig) -> tuple[int, int]:
    """The same for what reads the streams in front of the head."""
    if config.hyper_connections is None:
        return 0, 0
    streams = config.hyper_connections.n_streams
    return streams**2 * config.dim, streams + 1


def stream_products(config: ModelConfig, layer: int | None) -> int:
    """Products of a token's streams with their weights: read and mixed twice in a layer; None: read for the head."""
    if config.hyper_connections is None:
        return 0
    streams = config.hyper_connections.n_streams
    return (streams if layer is None else 2 * (streams + streams**2)) * config.dim


def _sizes_of_entries(config: ModelConfig, layer: int) -> list[int]:
    indexer = indexer_of(config, layer)
    return [config.shared_kv_attention.head_dim] + ([indexer.head_dim] if indexer else [])


def _width(config: ModelConfig, layer: int, size: int) -> int:
    """Numbers that a token gives to be pooled into entries of a size."""
    return 2 * size if config.shared_kv_attention.kind(layer) == "sparse" else size
