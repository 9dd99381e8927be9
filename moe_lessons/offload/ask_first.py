"""Asking what is in memory first: a bias in favor of the experts that are there, in the choice and not in the weights.

It is the router's own bias (arXiv:2408.15664) with another aim, and the idea of cache-conditional experts
(arXiv:2412.00099): a token that can do nearly as well with what is there saves a fetch, and gets another answer.
"""

import numpy as np
import torch
from torch import nn

from moe_lessons.model.router import Routing
from moe_lessons.offload.slots import Slots, Worth
from moe_lessons.tracing.record import find_routers
from moe_lessons.tracing.steer import sent_to


class AskFirst:
    """A change for `steer_routing`: `strength` is added to the score of each expert that is in one of the slots.

    Each layer has `slots` slots of its own, LRU unless `worth` says otherwise. Rows of a pass are tokens one after the
    other: what a token finds is what those before it left, also from one pass to the next, so reading a text in one
    pass is writing it token by token. Score and strength have the same unit: a softmax gives shares, so 1 outweighs
    everything. Raises ValueError for a negative strength, or fewer slots than a token's experts.
    """

    def __init__(self, model: nn.Module, slots: int, strength: float = 0.0, worth: Worth | None = None) -> None:
        self.routers = find_routers(model)
        top_k = max(router.rule.top_k for router in self.routers.values())
        if not 0 <= strength < float("inf"):
            raise ValueError(f"strength is {strength}, but must be 0 (the router's own choice) or more, and finite")
        if slots < top_k:
            raise ValueError(f"slots is {slots}, but one token's {top_k} experts must be in memory; give {top_k}")
        self.strength = strength
        self.slots = {layer: Slots(slots, worth) for layer in self.routers}
        self.loads = dict.fromkeys(self.routers, 0)  # experts fetched so far, by layer
        self.tokens = 0  # that asked in the first layer
        self.changed = 0  # choices that the router would not have made

    @property
    def loads_per_token(self) -> float:
        """Experts fetched for a token, all layers together; nan before the first one."""
        return sum(self.loads.values()) / self.tokens if self.tokens else float("nan")

    def __call__(self, layer: int, routing: Routing) -> Routing:
        router, slots = self.routers[layer], self.slots[layer]
        own = routing.experts.cpu().numpy()
        # A copy: scores, which weights are made of, stay as they are.
        wanted = router.preference(routing.scores.detach()).float().cpu().numpy().copy()
        experts = np.empty_like(own)
        for row, preference in enumerate(wanted):
            there = [expert for expert in slots.holds if expert >= 0]
            preference[there] += np.float32(self.strength)
            # As `choose`: a tie goes to the lower number.
            experts[row] = np.argsort(-preference, kind="stable")[: own.shape[1]]
            self.loads[layer] += len(slots.ask(experts[row].tolist()))
        if layer == min(self.routers):
            self.tokens += len(experts)
        self.changed += int((experts[:, :, None] != own[:, None, :]).all(axis=2).sum())
        return sent_to(router, routing, torch.from_numpy(experts).to(routing.experts.device))
