"""The course's own routers as contestants, one of which is to be refused."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.capstone.contract import chosen, packed
from moe_lessons.config import MoEConfig
from moe_lessons.model.load_balance import expert_choice
from moe_lessons.model.router import Router, Routing


class SoftmaxRouter(Router):
    """Softmax scores and the best k, as in Mixtral (arXiv:2401.04088); balanced by a loss, if at all."""

    def __init__(self, dim: int, n_experts: int, top_k: int, **options: Any) -> None:
        super().__init__(dim, MoEConfig(n_routed_experts=n_experts, top_k=top_k, hidden_dim=1, **options))
        nn.init.normal_(self.weight, std=dim**-0.5)


class SigmoidBiasRouter(SoftmaxRouter):
    """Sigmoid scores, and a bias that chooses and never weighs, as in DeepSeek-V3 (arXiv:2412.19437)."""

    def __init__(self, dim: int, n_experts: int, top_k: int) -> None:
        super().__init__(dim, n_experts, top_k, score_function="sigmoid", expert_bias=True)


class HashRouter(nn.Module):
    """Experts by token id, drawn once and never learned (hash layers, arXiv:2106.04426): what a router must beat."""

    table: Tensor

    def __init__(self, dim: int, n_experts: int, top_k: int, vocab_size: int = 1024) -> None:
        super().__init__()
        self.n_experts = n_experts
        self.register_buffer("table", torch.rand(vocab_size, n_experts).argsort(dim=1)[:, :top_k])

    def forward(self, hidden: Float[Tensor, "tokens dim"], token_ids: Int[Tensor, " tokens"]) -> Routing:
        experts = self.table[token_ids]
        return chosen(experts, torch.full(experts.shape, 1 / experts.shape[1], device=hidden.device), self.n_experts)


class ExpertChoiceRouter(SoftmaxRouter):
    """Each expert takes its best tokens of the whole batch (arXiv:2202.09368): balanced, and it looks ahead."""

    def forward(self, hidden: Float[Tensor, "tokens dim"]) -> Routing:
        logits = hidden @ self.weight.T
        scores = logits.softmax(dim=-1)
        tokens, n_experts = scores.shape
        weights = expert_choice(scores, slots=max(1, tokens * self.top_k // n_experts))
        experts, weights = packed(weights)
        return Routing(weights, experts, scores, logits)
