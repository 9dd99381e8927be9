"""Multi-token prediction (DeepSeek-V3, arXiv:2412.19437, section 2.2): each position also predicts what comes later.

Module k of the chain reads, at position i, what the one before it made there and the token at i + k, and predicts
the token at i + k + 1. Embedding and head are the main model's own.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.config import ModelConfig
from moe_lessons.model.block import Block
from moe_lessons.model.cache import Cache
from moe_lessons.model.norm import RMSNorm
from moe_lessons.model.rope import Rotation


class MultiTokenModule(nn.Module):
    """One step further ahead: a norm for either input, a projection back to `dim`, and one block.

    `depth` counts from 0; the block is the model's layer n_layers + depth.
    """

    def __init__(self, config: ModelConfig, depth: int) -> None:
        super().__init__()
        self.hidden_norm = RMSNorm(config.dim, config.norm_eps)
        self.embedding_norm = RMSNorm(config.dim, config.norm_eps)
        self.projection = nn.Linear(2 * config.dim, config.dim, bias=False)
        self.block = Block(config, config.n_layers + depth)
        self.norm = RMSNorm(config.dim, config.norm_eps)

    def forward(
        self,
        hidden: Float[Tensor, "batch time dim"],
        embedded: Float[Tensor, "batch time dim"],
        by: Rotation,
        cache: Cache | None = None,
    ) -> Float[Tensor, "batch time dim"]:
        """What the shared head and the next module read; `embedded` are the tokens depth + 1 places later."""
        both = torch.cat([self.hidden_norm(hidden), self.embedding_norm(embedded)], dim=-1)
        return self.norm(self.block(self.projection(both), by, cache))


def multi_token_loss(
    ahead: list[Float[Tensor, "batch _ vocab"]], targets: Int[Tensor, "batch time"]
) -> Float[Tensor, ""]:
    """Mean over the modules of the cross-entropy of what each looked ahead to (equations 24 and 25, without lambda).

    `ahead` comes from Transformer.look_ahead, `targets` are the tokens after each position. Each module's mean is
    over the positions that have a target. Raises ValueError where the last has none.
    """
    if targets.shape[1] <= len(ahead):
        raise ValueError(
            f"a text of {targets.shape[1]} tokens is too short for looking {len(ahead) + 1} ahead; take longer ones, "
            "or a smaller mtp_depth"
        )
    losses = [
        F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets[:, depth + 1 :].flatten())
        for depth, logits in enumerate(ahead)
    ]
    return torch.stack(losses).mean()
