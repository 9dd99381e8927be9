"""Gated pooling: one entry for every few tokens, for attention to read in their place.

DeepSeek-V4 (arXiv:2606.19348, section 2.3.1): each number of an entry is a weighted mean of that number over the tokens
it stands for, by a softmax of gates that each token makes and a learned bias for its place. With overlap, a token has
two contents and two gates: the second are for the entry of its own group, the first for the next group's.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.partial_rotation import turn_last
from moe_lessons.model.pool_room import PoolRoom
from moe_lessons.model.rope_scaling import position_rotation


class Compressor(nn.Module):
    """An entry of `size` numbers for each `rate` tokens, normalized and turned by the first one's position."""

    def __init__(
        self, dim: int, size: int, rate: int, overlap: bool, attention: SharedKVAttentionConfig, norm_eps: float
    ) -> None:
        super().__init__()
        self.rate, self.overlap, self.turned_as = rate, overlap, attention.with_entries
        width = 2 * size if overlap else size
        self.content = nn.Linear(dim, width, bias=False)
        self.gate = nn.Linear(dim, width, bias=False)
        self.position_bias = nn.Parameter(torch.zeros(rate, width))
        self.norm = RMSNorm(size, norm_eps)

    def forward(
        self, hidden: Float[Tensor, "batch new dim"], room: PoolRoom | None = None
    ) -> Float[Tensor, "batch entries size"]:
        """All entries whose tokens have been read; those that wait for more tokens are in the room."""
        content, gates, first, known = self.content(hidden), self.gate(hidden), 0, 0
        if room is not None:
            content, gates, first, known = room.take(content, gates)
        entries = self.norm(self.pool(content, gates)[:, known:])
        positions = self.rate * torch.arange(first, first + entries.shape[1], device=hidden.device)
        entries = turn_last(entries[:, None], position_rotation(positions, self.turned_as))[:, 0]
        return entries if room is None else room.add(entries)

    def pool(
        self, content: Float[Tensor, "batch time width"], gates: Float[Tensor, "batch time width"]
    ) -> Float[Tensor, "batch entries size"]:
        """The mean of each whole group, before its norm; the first group overlaps with none."""
        whole = content.shape[1] // self.rate * self.rate
        split = "batch (entries rate) width -> batch entries rate width"
        content = rearrange(content[:, :whole], split, rate=self.rate)
        gates = rearrange(gates[:, :whole], split, rate=self.rate) + self.position_bias
        if self.overlap:
            content, gates = _with_group_before(content, 0.0), _with_group_before(gates, float("-inf"))
        return (content * gates.softmax(dim=2, dtype=torch.float32).to(content.dtype)).sum(dim=2)


def _with_group_before(
    rows: Float[Tensor, "batch entries rate width"], nothing: float
) -> Float[Tensor, "batch entries twice_rate size"]:
    for_next, own = rows.chunk(2, dim=-1)
    before = F.pad(for_next, (0, 0, 0, 0, 1, 0), value=nothing)[:, :-1]
    return torch.cat([before, own], dim=2)


def ripe(start: int, new: int, rate: int, entries: int, device: torch.device) -> Tensor:
    """Which entries each of the `new` tokens from `start` on sees: those of which it is not before the last token."""
    behind = (torch.arange(start, start + new, device=device) + 1) // rate
    return torch.arange(entries, device=device) < behind[:, None]
