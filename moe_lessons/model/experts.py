"""Many small SwiGLU networks in one stack of weights, each working on the tokens sent to it."""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.model.dispatch import STRATEGIES, fastest, few, one_by_one


class Experts(nn.Module):
    """`n_experts` SwiGLU networks; an expert's gate and up matrices are rows of one product.

    Every token reaches exactly its top_k experts: there is no capacity, so nothing is dropped. `strategy` names one
    of moe_lessons.model.dispatch.STRATEGIES; None takes the fastest for the device, precision and size at hand.
    """

    def __init__(self, n_experts: int, dim: int, hidden_dim: int, strategy: str | None = None) -> None:
        super().__init__()
        if strategy is not None and strategy not in STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}, but must be one of: {', '.join(STRATEGIES)}")
        self.gate_up = nn.Parameter(torch.empty(n_experts, 2 * hidden_dim, dim))
        self.down = nn.Parameter(torch.empty(n_experts, dim, hidden_dim))
        self.strategy = strategy

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        experts: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum over a token's chosen experts of weight * expert(token)."""
        if self.strategy is None and few(hidden, experts, self.gate_up):
            dispatch = one_by_one
        else:
            dispatch = STRATEGIES[self.strategy or fastest(hidden, experts, self.gate_up)]
        if torch.compiler.is_compiling():
            # Shapes that depend on the choices would break the graph many times, and in float32 PyTorch's compiler
            # does not know the grouped product: the dispatch runs as it is, between two compiled parts.
            dispatch = cast(Callable[..., Tensor], torch.compiler.disable(dispatch))
        return dispatch(hidden, experts, weights, self.gate_up, self.down)
