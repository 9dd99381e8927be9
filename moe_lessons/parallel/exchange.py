"""Rows that change places between processes, and gradients that take the same way back."""

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import FunctionCtx, once_differentiable


def exchange(rows: Shaped[Tensor, " rows *rest"], sent: list[int], received: list[int], group: Any = None) -> Tensor:
    """Send the first `sent[0]` rows to process 0, the next `sent[1]` to process 1 and so on; differentiable once.

    The result holds `received[i]` rows of process i, in the order of the processes. All processes of the group must
    call this together, each with counts that fit the others'.
    """
    return _Exchange.apply(rows, sent, received, group)


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
        # torch's types know nothing of attributes kept here; lesson 15 has this class to the letter.
        ctx.sent, ctx.received, ctx.group = sent, received, group  # pyright: ignore[reportAttributeAccessIssue]
        return _exchange(rows, sent, received, group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # What I received I answer for, and what I sent comes back to me.
        return _exchange(grad, ctx.received, ctx.sent, ctx.group), None, None, None


def _exchange(rows: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    result = rows.new_empty(sum(received), *rows.shape[1:])
    dist.all_to_all_single(result, rows.contiguous(), received, sent, group=group)
    return result


class Exchange(nn.Module):
    """`exchange` within one group of processes, as a module, so that traffic can be watched through hooks."""

    def __init__(self, group: Any = None) -> None:
        super().__init__()
        self.group = group

    def forward(self, rows: Shaped[Tensor, " rows *rest"], sent: list[int], received: list[int]) -> Tensor:
        return exchange(rows, sent, received, self.group)
