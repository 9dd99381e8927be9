"""Many small SwiGLU networks in one stack of weights, each working on the tokens sent to it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class Experts(nn.Module):
    """`n_experts` SwiGLU networks; an expert's gate and up matrices are rows of one product.

    Every token reaches exactly its top_k experts: there is no capacity, so nothing is dropped.
    """

    def __init__(self, n_experts: int, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(n_experts, 2 * hidden_dim, dim))
        self.down = nn.Parameter(torch.empty(n_experts, dim, hidden_dim))

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        experts: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum over a token's chosen experts of weight * expert(token)."""
        # Sorting the (token, choice) pairs by expert makes each expert's work one dense product.
        order = experts.flatten().argsort(stable=True)
        rows = order // experts.shape[1]
        counts = torch.bincount(experts.flatten(), minlength=len(self.gate_up)).tolist()
        inputs = hidden[rows].split(counts)
        # unbind once: indexing one expert at a time would allocate a full-sized gradient for each.
        outputs = [
            F.linear(_gated(F.linear(tokens, gate_up)), down)
            for tokens, gate_up, down in zip(inputs, self.gate_up.unbind(), self.down.unbind(), strict=True)
        ]
        weighted = torch.cat(outputs) * weights.flatten()[order, None].to(outputs[0].dtype)
        return torch.zeros_like(weighted[:1]).expand(len(hidden), -1).index_add(0, rows, weighted)


def _gated(gate_up: Float[Tensor, "rows twice_hidden"]) -> Float[Tensor, "rows hidden"]:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up
