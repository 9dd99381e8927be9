"""Keys and values of the tokens already read, so that generation computes each of them once."""

import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.config import ModelConfig


class KVCache:
    """Room for `max_length` positions in every layer, filled from the left.

    Holds 2 * n_layers * n_kv_heads * head_dim numbers for each token of each sequence.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int = 1,
        max_length: int | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.max_length = max_length or config.max_length
        shape = (config.n_layers, batch_size, config.attention.n_kv_heads, self.max_length, config.attention.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0

    def update(
        self,
        layer: int,
        keys: Float[Tensor, "batch kv_heads new head_dim"],
        values: Float[Tensor, "batch kv_heads new head_dim"],
    ) -> tuple[Float[Tensor, "batch kv_heads time head_dim"], Float[Tensor, "batch kv_heads time head_dim"]]:
        """Store a layer's new keys and values behind the old ones and return all of them.

        `length` moves only in `advance`, once every layer has stored its share. Raises ValueError when full.
        """
        end = self.length + keys.shape[2]
        if end > self.max_length:
            raise ValueError(
                f"the cache has room for {self.max_length} positions, but {end} are needed; make it longer"
            )
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, new: int) -> None:
        """Count `new` positions as read."""
        self.length += new

    @property
    def bytes(self) -> int:
        """Memory of the whole cache, used or not."""
        return self.keys.nbytes + self.values.nbytes
