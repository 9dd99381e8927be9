"""Gates other than SwiGLU's (Shazeer, arXiv:2002.05202), for feed-forward layers and experts."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from moe_lessons.concerns import Gate
from moe_lessons.model.feed_forward import SwiGLU


def pass_gate(
    rule: Gate, gate: Float[Tensor, "*batch hidden"], up: Float[Tensor, "*batch hidden"]
) -> Float[Tensor, "*batch hidden"]:
    """activation(gate) * (up + shift), with both kept within the limit first."""
    if rule.limit is not None:
        gate, up = gate.clamp(max=rule.limit), up.clamp(min=-rule.limit, max=rule.limit)
    if rule.activation == "gelu":
        gate = F.gelu(gate, approximate="tanh")
    else:
        gate = F.silu(gate) if rule.sharpness == 1 else gate * (rule.sharpness * gate).sigmoid()
    return gate * (up + rule.shift if rule.shift else up)


class GatedFeedForward(SwiGLU):
    """SwiGLU with another gate."""

    def __init__(self, dim: int, hidden_dim: int, rule: Gate) -> None:
        super().__init__(dim, hidden_dim)
        self.rule = rule

    def forward(self, hidden: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        return self.down(pass_gate(self.rule, self.gate(hidden), self.up(hidden)))
