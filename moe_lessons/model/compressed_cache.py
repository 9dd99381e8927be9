"""What is kept where one vector is key and value: a window of them, and entries that stand for the tokens before."""

import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.config import ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.cache import Cache, slide
from moe_lessons.model.pool_room import PoolRoom


class CompressedCache(Cache):
    """In each layer the last `window` tokens' vectors, and where it has entries, a PoolRoom of them.

    Sparse layers have a second one, of their indexer's keys.
    """

    def _make_room(
        self, config: ModelConfig, batch_size: int, device: torch.device | str | None, dtype: torch.dtype
    ) -> None:
        sizes = config.attention
        if not isinstance(sizes, SharedKVAttentionConfig):
            raise ValueError(
                "CompressedCache holds vectors that are key and value, but this model has none: make_cache"
            )
        window = min(sizes.window, self.max_length)
        self._near = torch.zeros(len(self.layers), batch_size, window, sizes.head_dim, device=device, dtype=dtype)
        self._row = {layer: row for row, layer in enumerate(self.layers)}
        self._pools: dict[tuple[int, str], PoolRoom] = {}
        if (compression := sizes.compression) is None:
            return
        for layer in self.layers:
            kind, rate = sizes.kind(layer), compression.rate(layer)
            kinds = {"entries": sizes.head_dim} if rate else {}
            if kind == "sparse" and compression.indexer is not None:
                kinds["index"] = compression.indexer.head_dim
            for name, size in kinds.items():
                self._pools[layer, name] = PoolRoom(
                    batch_size, self.max_length, size, rate, kind == "sparse", device, dtype
                )

    def near(self, layer: int, new: Float[Tensor, "batch new head_dim"]) -> Float[Tensor, "batch time head_dim"]:
        """Store a layer's new vectors; return them behind the old ones that one of them still sees, in order."""
        self._end(new.shape[1])
        return slide(self._near[self._row[layer]], new, self.length)

    def pool(self, layer: int, name: str) -> PoolRoom:
        """A layer's room for "entries", or for what its "index" is searched by."""
        return self._pools[layer, name]

    def truncate(self, length: int) -> None:
        """Forget everything (0) or nothing: tokens in entries cannot be taken out again, so ValueError otherwise."""
        if length not in (0, self.length):
            raise ValueError(
                f"length is {length}, but of its {self.length} positions the cache can forget all or none, for entries "
                "hold several at once; read the text again"
            )
        if length == 0:
            for pool in self._pools.values():
                pool.clear()
        self.length = length

    @property
    def bytes(self) -> int:
        """Memory of the whole cache, used or not."""
        return self._near.nbytes + sum(pool.bytes for pool in self._pools.values())
