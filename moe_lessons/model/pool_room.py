"""What a compressor keeps between two calls: its entries, and tokens that wait for their group to be whole."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Taken(NamedTuple):
    """Tokens to pool, from the first of a group on."""

    content: Float[Tensor, "batch time width"]
    gates: Float[Tensor, "batch time width"]
    first: int  # number of the first entry that is new
    known: int  # groups in front whose entries are known already: 1 where the next overlaps with it, or 0


class PoolRoom:
    """Room for the entries of `max_length` tokens; `size` numbers each, and twice as many a token with overlap."""

    def __init__(
        self,
        batch_size: int,
        max_length: int,
        size: int,
        rate: int,
        overlap: bool,
        device: torch.device | str | None,
        dtype: torch.dtype,
    ) -> None:
        self.rate, self.overlap = rate, overlap
        kind = {"device": device, "dtype": dtype}
        self.entries = torch.zeros(batch_size, max_length // rate, size, **kind)
        # The tokens of a group that is not whole, and behind an overlap those of the group before.
        waiting = (batch_size, 2 * rate - 1 if overlap else rate - 1, 2 * size if overlap else size)
        self._content, self._gates = torch.zeros(waiting, **kind), torch.zeros(waiting, **kind)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.count, self._waiting = 0, 0

    def take(self, content: Float[Tensor, "batch new width"], gates: Float[Tensor, "batch new width"]) -> Taken:
        """The waiting tokens and the new ones; those that wait for others are kept."""
        waiting = self._waiting
        content = torch.cat([self._content[:, :waiting], content], dim=1)
        gates = torch.cat([self._gates[:, :waiting], gates], dim=1)
        known = int(self.overlap and self.count > 0)
        groups = content.shape[1] // self.rate
        done = max(0, groups - 1 if self.overlap else groups) * self.rate
        self._waiting = left = content.shape[1] - done
        self._content[:, :left] = content[:, done:]
        self._gates[:, :left] = gates[:, done:]
        return Taken(content, gates, self.count, known)

    def add(self, entries: Float[Tensor, "batch fewer size"]) -> Float[Tensor, "batch entries size"]:
        """Store new entries behind the old ones and return all of them."""
        end = self.count + entries.shape[1]
        self.entries[:, self.count : end] = entries
        self.count = end
        return self.entries[:, :end]

    @property
    def bytes(self) -> int:
        """Memory of the whole room, used or not."""
        return self.entries.nbytes + self._content.nbytes + self._gates.nbytes
