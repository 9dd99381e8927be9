"""Keeping the experts evenly busy: pure functions of a routing, and the bias update that needs no loss."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.model.router import Router, choose


def expert_load(experts: Int[Tensor, "tokens top_k"], n_experts: int) -> Int[Tensor, " experts"]:
    """How many tokens each expert received.

    >>> expert_load(torch.tensor([[0, 1], [0, 2]]), n_experts=4)
    tensor([2, 1, 1, 0])
    """
    flat = experts.flatten()
    load = torch.zeros(n_experts, dtype=torch.long, device=flat.device)  # bincount would keep a GPU waiting
    return load.scatter_add_(0, flat, torch.ones_like(flat))


def max_over_mean(load: Int[Tensor, " experts"]) -> float:
    """The busiest expert's load over the mean load: 1 is balance, the number of experts is collapse at top_k = 1."""
    return float(load.max() / load.float().mean()) if load.sum() else float("nan")


def load_entropy(load: Int[Tensor, " experts"]) -> float:
    """Entropy of the load over that of a uniform one: 1 is balance, 0 is one expert doing everything."""
    if not load.sum() or len(load) == 1:
        return 1.0 if load.sum() else float("nan")
    share = load.cpu().double() / load.sum().cpu()  # Apple's GPUs have no float64
    return float(torch.special.entr(share).sum() / math.log(len(load)))


def balance_loss(scores: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"]) -> Float[Tensor, ""]:
    """experts * sum over experts of (share of choices) * (mean probability); 1 when both are uniform.

    Switch Transformer (arXiv:2101.03961, equations 4-6) for top_k = 1, with the load divided by top_k for more. One
    layer's tokens, without padding: layers laid together would hide that each of them has its own favorite.
    Sigmoid scores are made into probabilities first, as DeepSeek-V3 does (arXiv:2412.19437, equation 19).
    """
    n_experts = scores.shape[1]
    share = expert_load(experts, n_experts) / experts.numel()
    probability = (scores / scores.sum(dim=-1, keepdim=True)).mean(dim=0)
    return n_experts * (share * probability).sum()


def sequence_balance_loss(scores: Float[Tensor, "tokens experts"], top_k: int, time: int) -> Float[Tensor, ""]:
    """The mean over sequences of `time` tokens of each one's own balance loss, for choices made without the bias.

    DeepSeek-V3 (arXiv:2412.19437, equations 17-20), there with weight 0.0001 beside the loss-free bias. Raises
    ValueError where the tokens are not whole sequences.
    """
    tokens, n_experts = scores.shape
    if time < 1 or tokens % time:
        raise ValueError(f"time is {time}, but the {tokens} tokens must be whole sequences of it; give their length")
    chosen = torch.zeros_like(scores).scatter(1, choose(scores.detach(), top_k), 1.0)
    share = chosen.view(-1, time, n_experts).mean(dim=1) / top_k
    probability = (scores / scores.sum(dim=-1, keepdim=True)).view(-1, time, n_experts).mean(dim=1)
    return n_experts * (share * probability).sum(dim=-1).mean()


def z_loss(logits: Float[Tensor, "tokens experts"]) -> Float[Tensor, ""]:
    """Mean squared log-sum-exp of the router's logits: keeps it near 0 (ST-MoE, arXiv:2202.08906, equation 5)."""
    return logits.logsumexp(dim=-1).square().mean()


@torch.no_grad()
def update_bias(router: Router, load: Int[Tensor, " experts"], rate: float) -> None:
    """Move each expert's bias by `rate` toward balance: up if it was idle, down if it was busy.

    Once per optimizer step, from the whole step's load (loss-free balancing, arXiv:2408.15664, algorithm 1).
    Raises ValueError where the router has no bias.
    """
    if router.expert_bias is None:
        raise ValueError("this router has no expert_bias to move; build it with MoEConfig(expert_bias=True)")
    load = load.float()
    router.expert_bias += rate * torch.sign(load.mean() - load)


def expert_choice(scores: Float[Tensor, "tokens experts"], slots: int) -> Float[Tensor, "tokens experts"]:
    """Each expert takes the `slots` tokens that score highest with it; the weights, 0 where an expert passed.

    Perfect balance by construction, and a look at later tokens (arXiv:2202.09368, section 3.2). A tie goes to the
    earlier token. Raises ValueError for more slots than tokens.
    """
    if not 0 <= slots <= len(scores):
        raise ValueError(f"slots is {slots}, but an expert can take from 0 to the {len(scores)} tokens there are")
    taken = choose(scores.detach().T, slots).T
    return torch.zeros_like(scores).scatter(0, taken, scores.gather(0, taken))
