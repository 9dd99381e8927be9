"""A mixture of experts with a gate of its own, and with biases on its router and experts.

The ways of dispatch that are fast for SwiGLU are not meant for these: here one way, the sorted one, serves them all.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.concerns import Gate
from moe_lessons.config import ModelConfig, MoEConfig
from moe_lessons.model.dispatch import sort_by_expert
from moe_lessons.model.experts import Experts
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.gates import GatedFeedForward, pass_gate
from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router, Routing, choose, float32_logits


class ShapedExperts(nn.Module):
    """Experts in one stack of weights, as `Experts`, but with a gate of their own and perhaps with biases."""

    def __init__(self, n_experts: int, dim: int, hidden_dim: int, rule: Gate, bias: bool = False) -> None:
        super().__init__()
        self.rule = rule
        self.gate_up = nn.Parameter(torch.empty(n_experts, 2 * hidden_dim, dim))
        self.down = nn.Parameter(torch.empty(n_experts, dim, hidden_dim))
        self.gate_up_bias = nn.Parameter(torch.zeros(n_experts, 2 * hidden_dim)) if bias else None
        self.down_bias = nn.Parameter(torch.zeros(n_experts, dim)) if bias else None

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        experts: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum over a token's chosen experts of weight * expert(token)."""
        order, counts = sort_by_expert(experts, len(self.down))
        rows = order // experts.shape[1]
        inputs = hidden[rows].split(counts.tolist())
        # unbind once: indexing one expert at a time would allocate a full-sized gradient for each.
        stacks = (self.gate_up, self.gate_up_bias, self.down, self.down_bias)
        parts = ([None] * len(self.down) if stack is None else stack.unbind() for stack in stacks)
        outputs = [
            F.linear(pass_gate(self.rule, *F.linear(tokens, w1, b1).chunk(2, dim=-1)), w2, b2)
            for tokens, w1, b1, w2, b2 in zip(inputs, *parts, strict=True)
            if len(tokens)
        ]
        weighted = torch.cat([*outputs, hidden[:0]]) * weights.flatten()[order, None]
        return torch.zeros_like(hidden).index_add(0, rows, weighted.to(hidden.dtype))


class BiasedRouter(Router):
    """A router whose logits have a learned bias each, which takes part in choice and weights alike."""

    def __init__(self, dim: int, config: MoEConfig) -> None:
        super().__init__(dim, config)
        self.bias = nn.Parameter(torch.zeros(config.n_routed_experts))

    def forward(self, hidden: Float[Tensor, "tokens dim"]) -> Routing:
        logits = float32_logits(hidden, self.weight, self.bias)
        scores = self.rule.scores(logits)
        experts = choose(self.preference(scores.detach()), self.rule.top_k)
        return Routing(self.rule.weigh(scores.gather(1, experts)), experts, scores, logits)


class ShapedMoE(MoE):
    """The same layer with these parts."""

    def __init__(self, config: ModelConfig) -> None:
        nn.Module.__init__(self)  # none of MoE's own parts, which would take their memory first
        kind = BiasedRouter if config.mixture.bias else Router
        self.router = kind(config.dim, config.mixture)
        self.experts, self.shared = experts_of(config), shared_of(config)


def experts_of(config: ModelConfig) -> Experts | ShapedExperts:
    """The routed experts of a layer, with the model's gate and biases."""
    moe = config.mixture
    sizes = moe.n_routed_experts, config.dim, moe.hidden_dim
    if config.gate is None and not moe.bias:
        return Experts(*sizes)
    return ShapedExperts(*sizes, config.gate or Gate(), moe.bias)


def shared_of(config: ModelConfig) -> SwiGLU | None:
    """The shared experts of a layer, which are one network; None where there are none."""
    moe = config.mixture
    return feed_forward_of(config, moe.n_shared_experts * moe.hidden_dim) if moe.n_shared_experts else None


def mixture_of(config: ModelConfig) -> MoE:
    """A mixture of experts with the model's gate and biases."""
    moe = config.mixture
    return ShapedMoE(config) if config.gate is not None or moe.bias else MoE(config.dim, moe)


def feed_forward_of(config: ModelConfig, hidden_dim: int) -> SwiGLU:
    """A dense feed-forward layer with the model's gate."""
    return (
        SwiGLU(config.dim, hidden_dim) if config.gate is None else GatedFeedForward(config.dim, hidden_dim, config.gate)
    )
