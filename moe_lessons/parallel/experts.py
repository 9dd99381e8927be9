"""Expert parallelism: each process keeps a part of every layer's experts, and tokens travel to them.

GShard (arXiv:2006.16668) for the idea; DeepSeek-V3 (arXiv:2412.19437, section 3.2.2) for sending a token once to a
place, however many of its experts live there, which is what makes a choice within few groups cheap.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

from moe_lessons.model.experts import Experts
from moe_lessons.model.moe import MoE
from moe_lessons.parallel.exchange import Exchange

_STACKS = ("gate_up", "down")


class SpreadExperts(Experts):
    """The experts of one layer that live on this process, in the place of all of them.

    Called by all processes together, each with its own tokens. The state dict is that of the whole layer: gathered
    from all processes when it is read, cut when it is loaded. Gradients are those of the mean of all processes'
    losses. Raises ValueError where the experts cannot be shared out evenly.
    """

    def __init__(self, whole: Experts, group: Any = None) -> None:
        size, rank = dist.get_world_size(group), dist.get_rank(group)
        n_experts, dim, hidden_dim = whole.down.shape
        if n_experts % size:
            raise ValueError(
                f"there are {n_experts} experts for {size} processes, but each must hold as many as the others; "
                "start a number of processes that divides them"
            )
        super().__init__(n_experts // size, dim, hidden_dim, whole.strategy)
        self.size, self.rank, self.group = size, rank, group
        self.exchange = Exchange(group)
        for name in _STACKS:
            part = nn.Parameter(self.own(getattr(whole, name)).detach().clone())
            part.register_hook(lambda gradient: gradient / size)  # the sum of all losses' becomes the mean's
            setattr(self, name, part)
        self.register_state_dict_post_hook(_gather_state)
        self.register_load_state_dict_pre_hook(_cut_state)

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        experts: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum over a token's chosen experts of weight * expert(token), wherever they live."""
        home = experts // len(self.down)  # the process of each chosen expert
        # One row for each process that a token has business with, sorted by process.
        business = F.one_hot(home, self.size).amax(dim=1)
        rank, token = torch.where(business.T)
        sent, received = self._counts(business.sum(dim=0))
        there = home[token] == rank[:, None]
        rows = self.exchange(hidden[token], sent, received)
        chosen = self.exchange(torch.where(there, experts[token] % len(self.down), -1), sent, received)
        counting = self.exchange(weights[token], sent, received)

        row, choice = torch.where(chosen >= 0)
        outputs = super().forward(rows[row], chosen[row, choice, None], counting[row, choice, None])
        sums = torch.zeros_like(rows).index_add(0, row, outputs.to(rows.dtype))

        returned = self.exchange(sums, received, sent)
        return torch.zeros_like(hidden).index_add(0, token, returned)

    def _counts(self, sent: Int[Tensor, " rows"]) -> tuple[list[int], list[int]]:
        """How many rows go to each process, and, told by the others, how many come from each."""
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent, group=self.group)
        return sent.tolist(), received.tolist()

    def own(self, whole: Tensor) -> Tensor:
        """This process's part of something that there is for every expert."""
        return whole.chunk(self.size)[self.rank]

    def gather(self, part: Tensor) -> Tensor:
        """The whole of which each process holds such a part."""
        parts = [torch.empty_like(part) for _ in range(self.size)]
        dist.all_gather(parts, part.contiguous(), group=self.group)
        return torch.cat(parts)


def spread_experts(model: nn.Module, group: Any = None) -> None:
    """Leave this process its part of every layer's experts, in place; all processes start from the same model."""
    for module in model.modules():
        if isinstance(module, MoE):
            module.experts = SpreadExperts(plain_experts(module), group)


def plain_experts(layer: MoE) -> Experts:
    """The layer's experts; ValueError where they have biases or a gate of their own, which nothing here sends along."""
    if not isinstance(layer.experts, Experts):
        raise ValueError(
            "the experts have biases or a gate of their own; only plain ones can live on several processes"
        )
    return layer.experts


def _gather_state(layer: SpreadExperts, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in _STACKS:
        state[prefix + name] = layer.gather(state[prefix + name].detach())


def _cut_state(layer: SpreadExperts, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in _STACKS:
        if prefix + name in state:
            state[prefix + name] = layer.own(state[prefix + name])
