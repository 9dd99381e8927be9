"""What a run asks of the processes that share it; here for one process, which has nobody to ask."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from moe_lessons.model import load_balance
from moe_lessons.model.multi_token import multi_token_loss
from moe_lessons.model.transformer import Transformer, next_token_loss


class Losses(NamedTuple):
    """What one forward pass costs, in nats per token."""

    following: Float[Tensor, ""]  # the next token
    ahead: Float[Tensor, ""] | None  # the multi-token modules' share, where it counts


def losses(
    model: Transformer, inputs: Int[Tensor, "batch time"], targets: Int[Tensor, "batch time"], *, ahead: bool
) -> Losses:
    """The forward pass of a training step; `ahead` asks for the multi-token modules, too."""
    hidden = model.read(inputs)
    following = next_token_loss(model.head(hidden), targets)
    return Losses(following, multi_token_loss(model.look_ahead(hidden, targets), targets) if ahead else None)


class Alone:
    """One process does all the work; `moe_lessons.parallel.Ranks` gives the same answers for several."""

    leader = True  # the one that speaks and writes
    rank = 0
    size = 1
    patient = False  # whether a second signal to stop is ignored like the first one's echo

    def spread(self, model: Transformer) -> Transformer:
        """Give each process its part of the model, in place."""
        return model

    def adopt(self, model: Transformer, optimizers: list[Optimizer]) -> None:
        """Let the optimizers' state be saved and read whole."""

    def own(self, batch: Int[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
        """This process's sequences of the whole batch."""
        return batch

    def losses(self, model: Transformer, inputs: Tensor, targets: Tensor, *, ahead: bool) -> Losses:
        """The forward pass, prepared so that the backward pass ends with every process's gradients."""
        return losses(model, inputs, targets, ahead=ahead)

    def balance_loss(self, scores: Tensor, experts: Tensor) -> Float[Tensor, ""]:
        """Switch's auxiliary loss over the whole batch."""
        return load_balance.balance_loss(scores, experts)

    def clip(self, model: nn.Module, most: float) -> Float[Tensor, ""]:
        """Shorten the gradient of the whole model to at most this length; returns the length before."""
        return torch.nn.utils.clip_grad_norm_(model.parameters(), most)

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes."""
        return numbers

    def most(self, number: float) -> float:
        """The largest over all processes, so that all come to the same decision."""
        return number


ALONE = Alone()
