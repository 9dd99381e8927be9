"""The mixture of experts as one differentiable operation for the CPU, where memory traffic is what costs time.

Through autograd, every intermediate result of all experts is written to memory and read again, forward and
backward. Here one expert at a time goes through all its steps while its rows are still in the processor's cache.
"""

from collections.abc import Iterator, Sequence
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
        (tokens, top_k), dim, width = experts.shape, hidden.shape[1], down.shape[2]
        flat = experts.flatten()
        # Radix sort of small integers in NumPy: ten times as fast as torch's sort of int64.
        order = torch.from_numpy(flat.to(torch.int16).numpy().argsort(kind="stable"))
        counts = torch.bincount(flat, minlength=len(down)).tolist()
        most = max(counts)
        rows = order // top_k
        place = torch.empty_like(order)  # where each (token, choice) went: the inverse of order
        place[order] = torch.arange(len(order))
        place = place.view(tokens, top_k)

        product, outputs = hidden.new_empty(len(order), 2 * width), hidden.new_empty(len(order), dim)
        by_row = rows, product, product[:, :width], product[:, width:], outputs
        scratch = hidden.new_empty(most, dim), hidden.new_empty(most, width)
        for own, gate_and_up, gate, up, y, x, h, w1, w2 in _of_each_expert(counts, by_row, scratch, (gate_up, down)):
            torch.index_select(hidden, 0, own, out=x)
            torch.mm(x, w1.mT, out=gate_and_up)
            torch.ops.aten.silu.out(gate, out=h).mul_(up)
            torch.mm(h, w2.mT, out=y)
        ctx.save_for_backward(hidden, rows, place, weights.flatten()[order], product, gate_up, down)
        ctx.counts = counts
        return _sum_choices(outputs, place, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, rows, place, weight, product, gate_up, down = ctx.saved_tensors
        counts, dim, width = ctx.counts, hidden.shape[1], down.shape[2]
        grad, most = grad.contiguous(), max(ctx.counts)
        d_inputs, d_weight = hidden.new_empty(len(rows), dim), torch.empty_like(weight)
        d_gate_up, d_down = torch.empty_like(gate_up), torch.empty_like(down)
        idle = torch.tensor(counts) == 0
        d_gate_up[idle], d_down[idle] = 0.0, 0.0
        by_row = rows, product[:, :width], product[:, width:], weight[:, None], d_inputs, d_weight
        scratch = [hidden.new_empty(most, size) for size in (dim, dim, width, width, width, 2 * width)]
        by_expert = gate_up, down, d_gate_up, d_down
        for own, gate, up, w, dx, dw, x, dy, s, h, dh, d_product, w1, w2, dw1, dw2 in _of_each_expert(
            counts, by_row, scratch, by_expert
        ):
            torch.index_select(hidden, 0, own, out=x)
            torch.index_select(grad, 0, own, out=dy)  # of the sum: before this expert's weight
            torch.ops.aten.silu.out(gate, out=s)
            torch.mul(s, up, out=h)
            torch.mm(dy, w2, out=dh)
            # d weight = dy . y = dy . (w2 h) = (w2^T dy) . h, so y need not be kept or made again.
            torch.linalg.vecdot(dh, h, out=dw)
            torch.mm(dy.mT, h.mul_(w), out=dw2)
            torch.mul(dh.mul_(w), s, out=d_product[:, width:])
            torch.ops.aten.silu_backward.grad_input(dh.mul_(up), gate, grad_input=d_product[:, :width])
            torch.mm(d_product.mT, x, out=dw1)
            torch.mm(d_product, w1, out=dx)
        return _sum_choices(d_inputs, place), None, d_weight[place], d_gate_up, d_down


def _of_each_expert(
    counts: list[int], by_row: Sequence[Tensor], scratch: Sequence[Tensor], by_expert: Sequence[Tensor]
) -> Iterator[tuple[Tensor, ...]]:
    """For each expert with work: its rows of every `by_row`, as many of every scratch, its entry of `by_expert`."""
    rows = zip(*(tensor.split(counts) for tensor in by_row), strict=True)
    entries = zip(*(tensor.unbind() for tensor in by_expert), strict=True)
    for count, own_rows, own_entries in zip(counts, rows, entries, strict=True):
        if count:
            yield *own_rows, *(tensor[:count] for tensor in scratch), *own_entries


def _sum_choices(
    values: Float[Tensor, "choices dim"],
    place: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"] | None = None,
) -> Float[Tensor, "tokens dim"]:
    """Row t is the sum over j of weights[t, j] * values[place[t, j]], without a weighted copy of the values."""
    return F.embedding_bag(place, values, mode="sum", per_sample_weights=weights)
