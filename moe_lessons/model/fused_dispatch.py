"""The mixture of experts as one differentiable operation for the CPU, where memory traffic is what costs time.

Through autograd, every intermediate result of all experts is written to memory and read again, forward and
backward. Here one expert at a time goes through all its steps while its rows are still in the processor's cache.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F


def fused(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """Sum over a token's chosen experts of weight * expert(token); differentiable once."""
    return _FusedExperts.apply(hidden, experts, weights, gate_up, down)


class _FusedExperts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, hidden: Tensor, experts: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor
    ) -> Tensor:
        top_k, choices, width = experts.shape[1], experts.numel(), down.shape[2]
        # Small integers sort several times faster than int64.
        small = experts.flatten().to(torch.int16)
        order = small.argsort(stable=True)
        counts = torch.bincount(experts.flatten(), minlength=len(down)).tolist()
        rows = order // top_k
        place = torch.empty_like(order)  # where each (token, choice) went: the inverse of order
        place[order] = torch.arange(choices)
        place = place.view_as(experts)

        inputs = hidden.new_empty(choices, hidden.shape[1])
        products = hidden.new_empty(choices, 2 * width)
        middle = hidden.new_empty(choices, width)
        outputs = hidden.new_empty(choices, hidden.shape[1])
        for own, x, product, h, y, w1, w2 in _of_each_expert(
            counts, (rows, inputs, products, middle, outputs), (gate_up, down)
        ):
            torch.index_select(hidden, 0, own, out=x)
            torch.mm(x, w1.mT, out=product)
            gate, up = product.chunk(2, dim=1)
            torch.mul(F.silu(gate), up, out=h)
            torch.mm(h, w2.mT, out=y)
        ctx.save_for_backward(rows, place, weights.flatten()[order], inputs, products, middle, gate_up, down)
        ctx.counts = counts
        return _sum_choices(outputs, place, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, place, weight, inputs, products, middle, gate_up, down = ctx.saved_tensors
        grad = grad.contiguous()
        d_inputs = torch.empty_like(inputs)
        d_weight = torch.empty_like(weight)
        d_gate_up, d_down = torch.zeros_like(gate_up), torch.zeros_like(down)
        for own, w, x, product, h, dx, dw, w1, w2, dw1, dw2 in _of_each_expert(
            ctx.counts,
            (rows, weight, inputs, products, middle, d_inputs, d_weight),
            (gate_up, down, d_gate_up, d_down),
        ):
            gate, up = product.chunk(2, dim=1)
            dy = grad.index_select(0, own)  # of the sum, before this expert's weight
            dh = dy @ w2
            # d weight = dy . y = dy . (w2 h) = (w2^T dy) . h, so that y need not be kept or made again
            torch.linalg.vecdot(dh, h, out=dw)
            w = w[:, None]
            torch.mm((dy * w).mT, h, out=dw2)
            dh *= w
            d_product = torch.empty_like(product)
            d_gate, d_up = d_product.chunk(2, dim=1)
            torch.mul(dh, F.silu(gate), out=d_up)
            torch.ops.aten.silu_backward.grad_input(dh.mul_(up), gate, grad_input=d_gate)
            torch.mm(d_product.mT, x, out=dw1)
            torch.mm(d_product, w1, out=dx)
        d_hidden = _sum_choices(d_inputs, place)
        return d_hidden, None, d_weight[place], d_gate_up, d_down


def _of_each_expert(counts: list[int], by_row: tuple[Tensor, ...], by_expert: tuple[Tensor, ...]):
    """For each expert with work: its own rows of every `by_row`, then its own entry of every `by_expert`."""
    rows = [tensor.split(counts) for tensor in by_row]
    entries = [tensor.unbind() for tensor in by_expert]
    return (parts for count, *parts in zip(counts, *rows, *entries, strict=True) if count)


def _sum_choices(
    values: Float[Tensor, "choices dim"],
    place: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"] | None = None,
) -> Float[Tensor, "tokens dim"]:
    """Row t is the sum over j of weights[t, j] * values[place[t, j]], without a weighted copy of the values."""
    return F.embedding_bag(place, values, mode="sum", per_sample_weights=weights)
