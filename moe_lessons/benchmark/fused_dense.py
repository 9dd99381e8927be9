"""The dense layer as one operation for the CPU, done as `fused_dispatch` does the sparse one.

A race between a layer that goes through autograd and one written by hand is not about experts. Here the dense rival is
written by hand as well: a thread takes a block of tokens through all steps while its rows are in the core's cache, and
the backward pass computes nothing twice that it need not.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from moe_lessons.device import keep_freed_memory
from moe_lessons.model.threads import side_by_side

_ROWS = 512  # of a block: what an expert gets of 4,096 tokens where 2 of 16 work


def fused_dense(
    hidden: Float[Tensor, "tokens dim"],
    gate_up: Float[Tensor, "twice_hidden dim"],
    down: Float[Tensor, "dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """down(silu(first half) * second half) of gate_up(token), as SwiGLU has it; differentiable once.

    Raises ValueError for tensors that are not on a CPU.
    """
    if hidden.device.type != "cpu":
        raise ValueError(f"the tokens are on {hidden.device}, but fused_dense works on a CPU only; use SwiGLU there")
    return _FusedDense.apply(hidden, gate_up, down)


class _FusedDense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        keep_freed_memory()
        tokens, width = len(hidden), down.shape[1]
        product, result = hidden.new_empty(tokens, 2 * width), hidden.new_empty(tokens, down.shape[0])

        def work(own: Iterable[slice]) -> None:
            buffer = hidden.new_empty(_ROWS, width)
            for rows in own:
                gate_and_up = product[rows]
                h = buffer[: len(gate_and_up)]
                torch.mm(hidden[rows], gate_up.mT, out=gate_and_up)
                torch.ops.aten.silu.out(gate_and_up[:, :width], out=h).mul_(gate_and_up[:, width:])
                torch.mm(h, down.mT, out=result[rows])

        side_by_side(work, _blocks(tokens))
        ctx.save_for_backward(hidden, product, gate_up, down)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        hidden, product, gate_up, down = ctx.saved_tensors
        grad, width = grad.contiguous(), down.shape[1]
        d_hidden = torch.empty_like(hidden)
        sums: list[tuple[Tensor, Tensor]] = []

        def work(own: Iterable[slice]) -> None:
            buffers = [hidden.new_empty(_ROWS, size) for size in (width, width, width, 2 * width)]
            d_gate_up, d_down = torch.zeros_like(gate_up), torch.zeros_like(down)  # this thread's share of the sums
            sums.append((d_gate_up, d_down))
            for rows in own:
                dy, gate, up = grad[rows], product[rows, :width], product[rows, width:]
                s, h, dh, d_product = (buffer[: len(dy)] for buffer in buffers)
                torch.mm(dy, down, out=dh)
                torch.ops.aten.silu.out(gate, out=s)
                torch.mul(s, up, out=h)
                d_down.addmm_(dy.mT, h)
                torch.mul(dh, s, out=d_product[:, width:])
                torch.ops.aten.silu_backward.grad_input(dh.mul_(up), gate, grad_input=d_product[:, :width])
                d_gate_up.addmm_(d_product.mT, hidden[rows])
                torch.mm(d_product, gate_up, out=d_hidden[rows])

        side_by_side(work, _blocks(len(hidden)))
        if not sums:  # no token
            return d_hidden, torch.zeros_like(gate_up), torch.zeros_like(down)
        d_gate_up = sum((part for part, _ in sums[1:]), start=sums[0][0])
        d_down = sum((part for _, part in sums[1:]), start=sums[0][1])
        return d_hidden, d_gate_up, d_down


def _blocks(tokens: int) -> list[slice]:
    return [slice(start, min(start + _ROWS, tokens)) for start in range(0, tokens, _ROWS)]
