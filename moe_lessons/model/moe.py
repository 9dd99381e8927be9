"""The mixture-of-experts layer: a router, many small experts, and perhaps some that everybody shares."""

from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.config import MoEConfig
from moe_lessons.model.experts import Experts
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.router import Router


class MoE(nn.Module):
    """Takes the place of a feed-forward layer (DeepSeekMoE, arXiv:2401.06066, equation 3, without the residual)."""

    def __init__(self, dim: int, config: MoEConfig) -> None:
        super().__init__()
        self.router = Router(dim, config)
        self.experts = Experts(config.n_routed_experts, dim, config.hidden_dim)
        # n shared experts that are all always at work are one network, n times as wide.
        self.shared = SwiGLU(dim, config.n_shared_experts * config.hidden_dim) if config.n_shared_experts else None

    def forward(self, hidden: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        tokens = hidden.flatten(0, 1)
        routing = self.router(tokens)
        output = self.experts(tokens, routing.experts, routing.weights)
        if self.shared is not None:
            output = output + self.shared(tokens)
        return output.view_as(hidden)
