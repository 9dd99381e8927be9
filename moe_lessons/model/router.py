"""The router: which experts a token goes to, and how much each of them counts.

Shazeer et al. (arXiv:1701.06538) for top-k and its noise, DeepSeek-V3 (arXiv:2412.19437, section 2.1.2) for sigmoid
scores and for the bias that chooses but never weighs.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import MoEConfig


class Routing(NamedTuple):
    """Where each token goes and how much each chosen expert counts."""

    weights: Float[Tensor, "tokens top_k"]  # of the chosen experts, after normalization and route_scale
    experts: Int[Tensor, "tokens top_k"]  # best first; a tie goes to the lower index
    scores: Float[Tensor, "tokens experts"]  # before the bias: what weights are made of, and what is drawn
    logits: Float[Tensor, "tokens experts"]  # before the score function


class Router(nn.Module):
    """One score per expert from a linear map, then the top k. Always in float32: bfloat16 flips near ties."""

    def __init__(self, dim: int, config: MoEConfig) -> None:
        super().__init__()
        self.top_k, self.score_function = config.top_k, config.score_function
        self.normalize, self.route_scale = config.normalize, config.route_scale
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, dim))
        # Zero at first: softplus(0) = 0.7 of noise for everyone, which each expert then learns to raise or lower.
        self.noise_weight = nn.Parameter(torch.zeros(config.n_routed_experts, dim)) if config.noise else None
        bias = torch.zeros(config.n_routed_experts, dtype=torch.float32) if config.expert_bias else None
        self.register_buffer("expert_bias", bias)

    def forward(self, hidden: Float[Tensor, "tokens dim"]) -> Routing:
        with torch.autocast(hidden.device.type, enabled=False):
            logits = F.linear(hidden.float(), self.weight.float())
            if self.noise_weight is not None and self.training:
                spread = F.softplus(F.linear(hidden.float(), self.noise_weight.float()))
                logits = logits + spread * torch.randn_like(logits)
            scores = logits.softmax(dim=-1) if self.score_function == "softmax" else logits.sigmoid()
            choice = scores if self.expert_bias is None else scores + self.expert_bias
            experts = choose(choice.detach(), self.top_k)
            weights = scores.gather(1, experts)
            if self.normalize:
                weights = weights / weights.sum(dim=-1, keepdim=True)
            return Routing(weights * self.route_scale, experts, scores, logits)


def choose(scores: Float[Tensor, "tokens experts"], top_k: int) -> Int[Tensor, "tokens top_k"]:
    """The indices of the k highest scores, highest first; a stable sort gives ties to the lower index.

    Raises ValueError for scores that are not numbers; on a GPU, where asking would wait for it, the loss tells.
    """
    if scores.device.type == "cpu" and scores.isnan().any():
        raise ValueError("the router's scores are not numbers (nan); the model is broken or was trained too fast")
    return scores.sort(dim=-1, descending=True, stable=True).indices[:, :top_k]
