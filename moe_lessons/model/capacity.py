"""Capacity: a fixed number of slots for each expert, and which choices are dropped where they do not suffice.

GShard (arXiv:2006.16668, algorithm 1) serves tokens in the order of the batch, V-MoE (arXiv:2106.05974) the important
ones first. The course's models drop nothing; here is what others do, and what it costs.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moe_lessons.model.dispatch import sort_by_expert
from moe_lessons.model.load_balance import expert_load
from moe_lessons.model.router import Routing
from moe_lessons.routing_rule import slots_per_expert

RULES = ("first come", "priority", "none")


class Served(NamedTuple):
    """What is left of a routing under a capacity, and what that cost: no drop goes unreported."""

    routing: Routing  # with weight 0 for each dropped choice; the kept weights stay as they are
    kept: Bool[Tensor, "tokens top_k"]
    slots: int  # of each expert; with the rule "none", what the busiest one needs
    dropped: int  # choices without a slot
    padded: int  # slots without a choice; with the rule "none" there are no others than are needed


def capacity(tokens: int, top_k: int, n_experts: int, factor: float) -> int:
    """Slots of each expert by `slots_per_expert`, for a factor that can be meant.

    Raises ValueError for a factor that is not above 0 and finite.
    """
    if not 0 < factor < math.inf:
        raise ValueError(f"factor is {factor}, but must be above 0 and finite; 1.25 is usual")
    return slots_per_expert(factor, tokens, top_k, n_experts)


def within_capacity(
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    n_experts: int,
    slots: int,
    rule: str = "first come",
) -> Bool[Tensor, "tokens top_k"]:
    """Which choices find a slot. All first choices are served, then all second ones, and so on.

    Within a rank, "first come" serves earlier tokens first, "priority" higher weights (a tie goes to the earlier
    token), and "none" gives everyone a slot. Raises ValueError for another rule or a negative number of slots.
    """
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}, but must be one of: {', '.join(RULES)}")
    if slots < 0:
        raise ValueError(f"slots is {slots}, but an expert cannot have fewer than 0; see capacity()")
    if rule == "none":
        return torch.ones_like(experts, dtype=torch.bool)
    turns = weights if rule == "priority" else torch.zeros_like(weights)
    turn = turns.argsort(dim=0, descending=True, stable=True)  # which token is served next, in each rank
    queue = experts.gather(0, turn).T.flatten()
    # A stable sort keeps the queue's order within each expert: the place there is the index less the expert's start.
    order, counts = sort_by_expert(queue[:, None], n_experts)
    starts = counts.cumsum(0) - counts
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device) - starts[queue[order]]
    served = (place < slots).view(experts.T.shape).T
    return torch.empty_like(served).scatter(0, turn, served)


def serve(routing: Routing, factor: float, rule: str = "first come") -> Served:
    """A routing under a capacity: a dropped choice weighs nothing, and the kept weights are not normalized again."""
    tokens, top_k = routing.experts.shape
    n_experts = routing.scores.shape[1]
    slots = capacity(tokens, top_k, n_experts, factor)
    kept = within_capacity(routing.experts, routing.weights.detach(), n_experts, slots, rule)
    if rule == "none":
        busiest = int(expert_load(routing.experts, n_experts).max())
        return Served(routing, kept, busiest, dropped=0, padded=0)
    served = int(kept.sum())
    limited = routing._replace(weights=routing.weights * kept)
    return Served(limited, kept, slots, dropped=kept.numel() - served, padded=n_experts * slots - served)
