"""Routers for lesson 14's arena, sound and spoiled, and the small model in which they sit."""

import torch
from small import small_config
from torch import nn
from torch.nn import functional as F

from moe_lessons.config import MoEConfig
from moe_lessons.model.router import Routing, choose

N, K, VOCAB = 4, 2, 300
CONFIG = small_config(vocab_size=VOCAB, moe=MoEConfig(n_routed_experts=N, top_k=K, hidden_dim=8))


def softmax(hidden, weight):
    logits = F.linear(hidden, weight)
    scores = logits.softmax(dim=-1)
    experts = choose(scores.detach(), K)
    weights = scores.gather(1, experts)
    return Routing(weights / weights.sum(dim=1, keepdim=True), experts, scores, logits)


class Base(nn.Module):
    """A sound router, which each bad one spoils."""

    def __init__(self, dim, n_experts, top_k):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_experts, dim) / dim**0.5)

    def forward(self, hidden):
        return softmax(hidden, self.weight)


def spoiled(change):
    """A router whose sound routing goes through `change(routing, hidden, module)`."""

    class Bad(Base):
        def forward(self, hidden):
            return change(softmax(hidden, self.weight), hidden, self)

    return Bad


def peeks(routing, hidden, module):
    return softmax(hidden + hidden.mean(dim=0), module.weight)


def division(routing, hidden, module):
    return routing.weights / (1 // 0)
