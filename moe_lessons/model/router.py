"""The router: which experts a token goes to, and how much each of them counts.

Shazeer et al. (arXiv:1701.06538) for top-k and its noise, DeepSeek-V3 (arXiv:2412.19437, section 2.1.2) for sigmoid
scores, for the bias that chooses but never weighs, and for the choice within few groups of experts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import MoEConfig
from moe_lessons.routing_rule import FollowsRule

FEW = 16  # tokens: for no more, a sort takes no longer than looking for the best k times
MANY = 8  # experts of one token: for more, a sort takes no longer either, up to so many to choose from:
SHORT = 512


class Routing(NamedTuple):
    """Where each token goes and how much each chosen expert counts."""

    weights: Float[Tensor, "tokens top_k"]  # of the chosen experts, after normalization and route_scale
    experts: Int[Tensor, "tokens top_k"]  # best first; a tie goes to the lower index
    scores: Float[Tensor, "tokens experts"]  # before the bias: what weights are made of, and what is drawn
    logits: Float[Tensor, "tokens experts"]  # before the score function


class Draw(NamedTuple):
    """Which normal numbers a router's noise is made of: the same ones whenever and wherever they are asked for."""

    seed: int
    step: int
    layer: int  # counted over the layers with a router
    rank: int = 0  # this process's place among those that share the batch
    size: int = 1  # how many they are

    def normal(self, tokens: int, n_experts: int) -> Float[Tensor, "tokens experts"]:
        """This process's rows of what is drawn for the whole batch, on the CPU."""
        # The last number keeps them apart from the order of the text, which is drawn from (seed, epoch).
        random = np.random.default_rng([self.seed, self.step, self.layer, 1])
        whole = random.standard_normal((self.size * tokens, n_experts), dtype=np.float32)
        return torch.from_numpy(whole[self.rank * tokens : (self.rank + 1) * tokens])


class Router(FollowsRule, nn.Module):
    """One score per expert from a linear map, then the top k. Always in float32: bfloat16 flips near ties."""

    expert_bias: Tensor | None  # a buffer: float32, one number for each expert

    def __init__(self, dim: int, config: MoEConfig) -> None:
        super().__init__()
        self.rule = config.rule
        self.draw: Draw | None = None  # None: noise comes from torch's global generator, as dropout does
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, dim))
        # Zero at first: softplus(0) = 0.7 of noise for everyone, which each expert then learns to raise or lower.
        self.noise_weight = nn.Parameter(torch.zeros(config.n_routed_experts, dim)) if config.noise else None
        bias = torch.zeros(config.n_routed_experts, dtype=torch.float32) if config.expert_bias else None
        self.register_buffer("expert_bias", bias)

    def forward(self, hidden: Float[Tensor, "tokens dim"]) -> Routing:
        if torch.is_autocast_enabled(hidden.device.type):
            with torch.autocast(hidden.device.type, enabled=False):
                return self.forward(hidden)
        logits = F.linear(hidden.float(), self.weight.float())
        if self.noise_weight is not None and self.training:
            spread = F.softplus(F.linear(hidden.float(), self.noise_weight.float()))
            normal = torch.randn_like(logits) if self.draw is None else self.draw.normal(*logits.shape)
            logits = logits + spread * normal.to(logits.device)
        scores = self.rule.scores(logits)
        experts = choose(self.preference(scores.detach()), self.rule.top_k)
        return Routing(self.rule.weigh(scores.gather(1, experts)), experts, scores, logits)

    def preference(self, scores: Float[Tensor, "tokens experts"]) -> Float[Tensor, "tokens experts"]:
        """What the choice goes by: scores with the bias, and -inf outside the groups that a token may choose from."""
        biased = scores if self.expert_bias is None else scores + self.expert_bias
        rule = self.rule
        if rule.n_groups == 1:
            return biased
        return within_best_groups(biased, rule.n_groups, rule.top_groups, rule.group_score)


def float32_logits(
    hidden: Float[Tensor, "tokens dim"],
    weight: Float[Tensor, "experts dim"],
    bias: Float[Tensor, " experts"] | None = None,
) -> Float[Tensor, "tokens experts"]:
    """A router's product in float32, whatever surrounds it."""
    with torch.autocast(hidden.device.type, enabled=False):
        return F.linear(hidden.float(), weight.float(), None if bias is None else bias.float())


@contextmanager
def repeatable_noise(model: nn.Module, seed: int, step: int, rank: int = 0, size: int = 1) -> Iterator[None]:
    """Inside the block, the noise of the model's routers is a function of seed, step and layer alone.

    So two runs agree, one that goes on is one that never stopped, and layers whose activations are computed again in
    the backward pass, which belongs into the block, choose as they did. Processes that share a batch in `size` equal
    parts draw the noise of the whole.
    """
    routers = [module for module in model.modules() if isinstance(module, Router)]
    for layer, router in enumerate(routers):
        router.draw = Draw(seed, step, layer, rank, size)
    try:
        yield
    finally:
        for router in routers:
            router.draw = None


def choose(scores: Float[Tensor, "tokens experts"], top_k: int) -> Int[Tensor, "tokens top_k"]:
    """The indices of the k highest scores, highest first; ties go to the lower index.

    Raises ValueError for scores that are not numbers; on a GPU, where asking would wait for it, and in a compiled
    model, whose graph it would break, the loss tells.

    >>> choose(torch.tensor([[0.1, 0.7, 0.2, 0.7]]), top_k=2)
    tensor([[1, 3]])
    """
    if scores.is_cpu and not torch.compiler.is_compiling() and scores.numel():
        if isnan(scores.max().item()):
            raise ValueError("the router's scores are not numbers (nan); the model is broken or was trained too fast")
        best = None
        if len(scores) > FEW and 0 < top_k <= MANY:
            best = _one_after_the_other(scores, top_k)
        elif scores.shape[1] > SHORT:
            best = _without_ties(scores, top_k)
        if best is not None:
            return best
    # A stable sort, for what topk does with ties is nobody's promise.
    return scores.sort(dim=-1, descending=True, stable=True).indices[:, :top_k]


def _one_after_the_other(scores: Float[Tensor, "tokens experts"], top_k: int) -> Int[Tensor, "tokens top_k"] | None:
    """k times the best of those that are left: `max`, unlike `topk`, promises the first of equals.

    For 8 to 32 experts that takes about half of topk's time. None where some token has too few above -inf.
    """
    left, chosen = scores.clone(), []
    for _ in range(top_k):
        best = left.max(dim=1, keepdim=True)
        chosen.append(best.indices)
        left.scatter_(1, best.indices, float("-inf"))
    return None if best.values.min() == float("-inf") else torch.cat(chosen, dim=1)


def _without_ties(scores: Float[Tensor, "tokens experts"], top_k: int) -> Int[Tensor, "tokens top_k"] | None:
    """By topk, in a tenth of a sort's time for thousands of keys (lesson 16). None where some scores are equal.

    Where the best and the first that is left out all differ, there is one order only.
    """
    best = scores.topk(min(top_k + 1, scores.shape[1]))
    return best.indices[:, :top_k] if (best.values[:, 1:] < best.values[:, :-1]).all() else None


def within_best_groups(
    scores: Float[Tensor, "tokens experts"], n_groups: int, top_groups: int, group_score: str
) -> Float[Tensor, "tokens experts"]:
    """The same scores with -inf, which nothing chooses, for all experts outside a token's best groups.

    A group of neighboring experts is as good as its two best together ("top2"; DeepSeek-V3, arXiv:2412.19437, section
    2.1.2) or as its best ("max"; DeepSeek-V2, arXiv:2405.04434, section 2.2.2). A tie goes to the lower group.
    """
    groups = rearrange(scores, "tokens (groups members) -> tokens groups members", groups=n_groups)
    of_group = groups.amax(dim=-1) if group_score == "max" else groups.topk(2, dim=-1).values.sum(dim=-1)
    best = choose(of_group, top_groups)
    outside = torch.ones_like(of_group, dtype=torch.bool).scatter(1, best, False)
    return groups.masked_fill(outside[..., None], float("-inf")).flatten(1)
