"""What is kept of the tokens already read, so that generation computes it once for each of them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.config import AnyAttention, AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.rope import Rotation
from moe_lessons.model.rope_scaling import position_rotation


class Cache:
    """Room for `max_length` positions in every layer, filled from the left; what is kept, the kinds below say.

    `layers` are the numbers of the layers that write into it, all of the model's by default.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int = 1,
        max_length: int | None = None,
        *,
        layers: range | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.max_length = max_length or config.max_length
        self.layers = range(config.n_layers) if layers is None else layers
        self.length = 0
        self._make_room(config, batch_size, device, dtype)
        # Once for all tokens to come, whose angles would take longer than their embedding.
        self._rotation = position_rotation(torch.arange(self.max_length, device=device), config.attention)

    def _make_room(
        self, config: ModelConfig, batch_size: int, device: torch.device | str | None, dtype: torch.dtype
    ) -> None:
        self._kept: tuple[Tensor, ...] = ()
        self._of_layer: dict[int, tuple[Tensor, ...]] = {}
        for group, room in self._rooms(config.attention):
            kept = tuple(
                torch.zeros((len(group), batch_size, *heads, room, size), device=device, dtype=dtype)
                for *heads, size in self._sizes(config.attention)
            )
            self._kept += kept
            self._of_layer |= {layer: tuple(each[row] for each in kept) for row, layer in enumerate(group)}

    def _sizes(self, attention: AnyAttention) -> tuple[tuple[int, ...], ...]:
        raise NotImplementedError

    def _rooms(self, attention: AnyAttention) -> list[tuple[Sequence[int], int]]:
        """Groups of layers, and for how many positions each of their layers has room."""
        return [(self.layers, self.max_length)]

    def _store(self, layer: int, *new: Tensor) -> tuple[Tensor, ...]:
        """Store a layer's new entries behind the old ones and return all of them.

        `length` moves only in `advance`, once every layer has stored its share. Raises ValueError when full.
        """
        more = new[0].shape[-2]
        end = self._end(more)
        kept = self._of_layer[layer]
        for room, entries in zip(kept, new, strict=True):
            room.narrow(-2, self.length, more).copy_(entries)
        return tuple(room.narrow(-2, 0, end) for room in kept)

    def _end(self, new: int) -> int:
        end = self.length + new
        if end > self.max_length:
            raise ValueError(
                f"the cache has room for {self.max_length} positions, but {end} are needed; make it longer"
            )
        return end

    def rotation(self, new: int) -> Rotation:
        """How the next `new` positions turn queries and keys. Raises ValueError where they have no room."""
        here = slice(self.length, self._end(new))
        return Rotation(self._rotation.cos[here], self._rotation.sin[here])

    def advance(self, new: int) -> None:
        """Count `new` positions as read."""
        self.length += new

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on, so that others can be read in their place.

        Raises ValueError where the cache holds fewer.
        """
        if not 0 <= length <= self.length:
            raise ValueError(
                f"length is {length}, but the cache holds {self.length} positions; it can only forget some"
            )
        self.length = length

    @property
    def bytes(self) -> int:
        """Memory of the whole cache, used or not."""
        return sum(kept.nbytes for kept in self._kept)


class KVCache(Cache):
    """Keys and values: 2 * n_layers * n_kv_heads * head_dim numbers for each token of each sequence."""

    def _sizes(self, attention: AnyAttention) -> tuple[tuple[int, ...], ...]:
        if not isinstance(attention, AttentionConfig):
            raise ValueError(
                "KVCache holds the keys and values of heads, but this model keeps latents: use LatentCache"
            )
        _, n_kv_heads, head_dim = attention.sizes
        return 2 * ((n_kv_heads, head_dim),)

    @property
    def keys(self) -> Float[Tensor, "layers batch kv_heads time head_dim"]:
        """The room for keys, used or not; that for values is as large."""
        return self._kept[0]

    def update(
        self,
        layer: int,
        keys: Float[Tensor, "batch kv_heads new head_dim"],
        values: Float[Tensor, "batch kv_heads new head_dim"],
    ) -> tuple[Float[Tensor, "batch kv_heads time head_dim"], Float[Tensor, "batch kv_heads time head_dim"]]:
        """Store a layer's new keys and values behind the old ones and return all of them."""
        keys, values = self._store(layer, keys, values)
        return keys, values


class WindowedKVCache(KVCache):
    """The same, but layers with a sliding window keep only as many positions as it is wide.

    There each new token takes the place of the one that has just left the window, and the order of what is kept does
    not matter to a single new token, which sees all of it.
    """

    def _rooms(self, attention: AnyAttention) -> list[tuple[Sequence[int], int]]:
        if not isinstance(attention, AttentionConfig):
            return super()._rooms(attention)
        windows = {layer: attention.window_of(layer) for layer in self.layers}
        self._window = {layer: min(size, self.max_length) for layer, size in windows.items() if size is not None}
        groups = [([layer for layer in self.layers if layer not in self._window], self.max_length)]
        groups += [(list(self._window), min(self._window.values()))] if self._window else []
        return [(layers, room) for layers, room in groups if layers]

    def update(
        self,
        layer: int,
        keys: Float[Tensor, "batch kv_heads new head_dim"],
        values: Float[Tensor, "batch kv_heads new head_dim"],
    ) -> tuple[Float[Tensor, "batch kv_heads time head_dim"], Float[Tensor, "batch kv_heads time head_dim"]]:
        """Store a layer's new keys and values; return them behind the old ones that one of them may still see.

        Where there is one new token, they are in any order.
        """
        if layer not in self._window:
            return super().update(layer, keys, values)
        room, new, start = self._window[layer], keys.shape[2], self.length
        end = self._end(new)
        kept_keys, kept_values = self._of_layer[layer]
        if new == 1:
            for kept, entry in ((kept_keys, keys), (kept_values, values)):
                kept.narrow(2, start % room, 1).copy_(entry)
            return kept_keys.narrow(2, 0, min(end, room)), kept_values.narrow(2, 0, min(end, room))
        return slide(kept_keys, keys, start), slide(kept_values, values, start)

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on, as far as what they took the place of is not needed again.

        Raises ValueError where the cache holds fewer, or where a window would miss positions that it let go.
        """
        room = min(self._window.values(), default=self.max_length)
        if 0 <= length < self.length and self.length > room:
            raise ValueError(
                f"length is {length}, but windowed layers have let go of all but the last {room} of {self.length} "
                "positions; read the text again"
            )
        super().truncate(length)


def slide(
    kept: Float[Tensor, "*batch _ size"], new: Float[Tensor, "*batch new size"], start: int
) -> Float[Tensor, "*batch time size"]:
    """Store the entries of the positions from `start` on in a ring of the last `room` ones.

    Returns them, in order, behind the old ones that the first of them still sees.
    """
    room, end = kept.shape[-2], start + new.shape[-2]
    old = torch.arange(max(0, start - room + 1), start, device=new.device) % room
    seen = torch.cat([kept[..., old, :], new], dim=-2)
    last = torch.arange(max(start, end - room), end, device=new.device)
    kept[..., last % room, :] = new[..., last - start, :]
    return seen


class LatentCache(Cache):
    """Latents and turned keys: n_layers * (kv_lora_rank + qk_rope_head_dim) numbers for each token of each sequence."""

    def _sizes(self, attention: AnyAttention) -> tuple[tuple[int, ...], ...]:
        if not isinstance(attention, LatentAttentionConfig) or attention.indexer is not None:
            others = "keys and values of heads: use KVCache"
            if isinstance(attention, LatentAttentionConfig):
                others = "an indexer's keys, too: use IndexedLatentCache"
            raise ValueError(f"LatentCache holds latents, but this model keeps {others}")
        return (attention.kv_lora_rank,), (attention.qk_rope_head_dim,)

    def update(
        self, layer: int, latents: Float[Tensor, "batch new latent"], rope_keys: Float[Tensor, "batch new rope"]
    ) -> tuple[Float[Tensor, "batch time latent"], Float[Tensor, "batch time rope"]]:
        """Store a layer's new latents and turned keys behind the old ones and return all of them."""
        latents, rope_keys = self._store(layer, latents, rope_keys)
        return latents, rope_keys


class IndexedLatentCache(Cache):
    """What LatentCache holds, and an indexer's key beside it: indexer.head_dim numbers more."""

    def _sizes(self, attention: AnyAttention) -> tuple[tuple[int, ...], ...]:
        if not isinstance(attention, LatentAttentionConfig) or attention.indexer is None:
            raise ValueError("IndexedLatentCache holds an indexer's keys, but this model has none: ask make_cache")
        return (attention.kv_lora_rank,), (attention.qk_rope_head_dim,), (attention.indexer.head_dim,)

    def update(
        self,
        layer: int,
        latents: Float[Tensor, "batch new latent"],
        rope_keys: Float[Tensor, "batch new rope"],
        index_keys: Float[Tensor, "batch new index"],
    ) -> tuple[Float[Tensor, "batch time latent"], Float[Tensor, "batch time rope"], Float[Tensor, "batch time index"]]:
        """Store a layer's new latents, turned keys and indexer's keys and return all of them."""
        latents, rope_keys, index_keys = self._store(layer, latents, rope_keys, index_keys)
        return latents, rope_keys, index_keys


def make_cache(
    config: ModelConfig,
    batch_size: int = 1,
    max_length: int | None = None,
    *,
    layers: range | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Cache:
    """An empty cache of the kind that the model's attention writes into."""
    return _kind(config)(config, batch_size, max_length, layers=layers, device=device, dtype=dtype)


def _kind(config: ModelConfig) -> type[Cache]:
    if isinstance(config.attention, SharedKVAttentionConfig):
        from moe_lessons.model.compressed_cache import CompressedCache

        return CompressedCache
    if isinstance(config.attention, LatentAttentionConfig):
        return LatentCache if config.attention.indexer is None else IndexedLatentCache
    return KVCache if config.attention.window is None else WindowedKVCache
