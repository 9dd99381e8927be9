"""Keeping the experts evenly busy: pure functions of a routing, and the bias update that needs no loss."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.model.router import Router


def expert_load(experts: Int[Tensor, "tokens top_k"], n_experts: int) -> Int[Tensor, " experts"]:
    """How many tokens each expert received."""
    return torch.bincount(experts.flatten(), minlength=n_experts)


def max_over_mean(load: Int[Tensor, " experts"]) -> float:
    """The busiest expert's load over the mean load: 1 is balance, the number of experts is collapse at top_k = 1."""
    return float(load.max() / load.float().mean()) if load.sum() else float("nan")


def balance_loss(scores: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"]) -> Float[Tensor, ""]:
    """experts * sum over experts of (share of choices) * (mean probability); 1 when both are uniform.

    Switch Transformer (arXiv:2101.03961, equations 4-6) for top_k = 1, with the load divided by top_k for more.
    Sigmoid scores are made into probabilities first, as DeepSeek-V3 does (arXiv:2412.19437, equation 19).
    """
    n_experts = scores.shape[1]
    share = expert_load(experts, n_experts) / experts.numel()
    probability = (scores / scores.sum(dim=-1, keepdim=True)).mean(dim=0)
    return n_experts * (share * probability).sum()


def z_loss(logits: Float[Tensor, "tokens experts"]) -> Float[Tensor, ""]:
    """Mean squared log-sum-exp of the router's logits: keeps them small (ST-MoE, arXiv:2202.08906, equation 5)."""
    return logits.logsumexp(dim=-1).square().mean()


@torch.no_grad()
def update_bias(router: Router, load: Int[Tensor, " experts"], rate: float) -> None:
    """Move each expert's bias by `rate` towards balance: up if it was idle, down if it was busy.

    Once per optimizer step, from the whole step's load (loss-free balancing, arXiv:2408.15664, algorithm 1).
    Raises ValueError where the router has no bias.
    """
    if router.expert_bias is None:
        raise ValueError("this router has no expert_bias to move; build it with MoEConfig(expert_bias=True)")
    load = load.float()
    router.expert_bias += rate * torch.sign(load.mean() - load)
