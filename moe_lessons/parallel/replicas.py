"""Experts placed by load on several processes, the hottest ones more than once: for reading and writing alone.

A router knows nothing of copies. Its choice of an expert becomes the choice of one of that expert's slots, in turns, so
that the copies share the work; everything else is as with experts that live in one place. (DeepSeek-V3's redundant
experts: arXiv:2412.19437, section 3.4.1.)
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch import distributed as dist

from moe_lessons.model.experts import Experts
from moe_lessons.model.moe import MoE
from moe_lessons.parallel.experts import SpreadExperts, plain_experts
from moe_lessons.parallel.placement import Placement


class PlacedExperts(SpreadExperts):
    """The experts of one layer that a placement gives to this process, in the place of all of them.

    Called by all processes together, each with its own tokens; nothing here can be trained, since copies would part.
    Raises ValueError where the placement is for another number of processes or experts.
    """

    slot_of: Int[Tensor, "experts machines"]  # the slots of each expert's copies, from the first again where they end
    copies: Int[Tensor, " experts"]

    def __init__(self, whole: Experts, placement: Placement, group: Any = None) -> None:
        n_experts, dim, hidden_dim = whole.down.shape
        machines, copies = len(placement.experts), placement.replicas
        if machines != dist.get_world_size(group) or len(copies) != n_experts or not copies.all():
            raise ValueError(
                f"the placement puts {len(copies)} experts on {machines} machines, but there are {n_experts} experts "
                f"and {dist.get_world_size(group)} processes; make it for these"
            )
        slots = torch.from_numpy(placement.experts).flatten()
        every = Experts(len(slots), dim, hidden_dim, whole.strategy)
        with torch.no_grad():
            every.gate_up.copy_(whole.gate_up[slots])
            every.down.copy_(whole.down[slots])
        super().__init__(every, group)
        self.requires_grad_(False)
        table = torch.zeros(n_experts, machines, dtype=torch.int64)
        for expert in range(n_experts):
            own = torch.where(slots == expert)[0]
            table[expert] = own[torch.arange(machines) % len(own)]
        self.register_buffer("slot_of", table, persistent=False)
        self.register_buffer("copies", torch.from_numpy(copies), persistent=False)

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        experts: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum over a token's chosen experts of weight * expert(token), whichever copies work."""
        return super().forward(hidden, self.slots(experts), weights)

    def slots(self, experts: Int[Tensor, "tokens top_k"]) -> Int[Tensor, "tokens top_k"]:
        """The slot that takes each choice: an expert's copies in turns, on each process beginning with another."""
        chosen = experts.flatten()
        order = chosen.argsort(stable=True)
        counts = torch.bincount(chosen, minlength=len(self.copies))
        first = counts.cumsum(0) - counts
        turn = torch.empty_like(chosen)
        turn[order] = torch.arange(len(chosen), device=chosen.device) - first[chosen[order]]
        return self.slot_of[chosen, (turn + self.rank) % self.copies[chosen]].view_as(experts)


def place_experts(model: nn.Module, placements: Sequence[Placement], group: Any = None) -> None:
    """Leave this process the experts that each layer's placement gives it, in place; the first is the first layer's.

    Raises ValueError where there is not one placement for each layer with experts.
    """
    layers = [module for module in model.modules() if isinstance(module, MoE)]
    if len(layers) != len(placements):
        raise ValueError(f"{len(placements)} placements are given for {len(layers)} layers with experts; give one each")
    for layer, placement in zip(layers, placements, strict=True):
        layer.experts = PlacedExperts(plain_experts(layer), placement, group)
