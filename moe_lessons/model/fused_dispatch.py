"""The mixture of experts as one differentiable operation for the CPU, where moving data costs more than arithmetic.

Through autograd, every intermediate result of all experts is written to memory and read again, and each of hundreds
of small products is handed to all threads, which then wait for each other. Here one expert goes through all its steps
while its rows are in a core's cache (a seventh less time than `sorted` on two cores), and each thread takes experts
of its own (another quarter to third less; `moe-lessons bench --only layer` measures it where you are).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from moe_lessons.device import keep_freed_memory
from moe_lessons.model.threads import side_by_side


def fused(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """Sum over a token's chosen experts of weight * expert(token); differentiable once.

    Raises ValueError for tensors that are not on a CPU.
    """
    if hidden.device.type != "cpu":
        raise ValueError(f"the tokens are on {hidden.device}, but 'fused' works on a CPU only; use 'sorted' there")
    return _FusedExperts.apply(hidden, experts, weights, gate_up, down)


class _Job(NamedTuple):
    """One expert and how many rows it has."""

    expert: int
    count: int


class _FusedExperts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, experts: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
        keep_freed_memory()
        (tokens, top_k), dim, width = experts.shape, hidden.shape[1], down.shape[2]
        flat = experts.flatten()
        # NumPy sorts small integers by radix: ten times as fast as torch's sort of int64.
        number = torch.int16 if len(down) <= 2**15 else torch.int64
        order = torch.from_numpy(flat.to(number).numpy().argsort(kind="stable"))
        token = order.div(top_k, rounding_mode="floor")  # of each row
        # Where each (token, choice) went: the inverse of order.
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order))).view(tokens, top_k)
        counts = torch.bincount(flat, minlength=len(down)).tolist()
        jobs = _jobs(counts)

        product, outputs = hidden.new_empty(len(order), 2 * width), hidden.new_empty(len(order), dim)
        # Every expert's views at once: one by one, in Python, they would hold up the other threads.
        tokens_of, products, results = (whole.split(counts) for whole in (token, product, outputs))
        gates, ups = (half.split(counts) for half in (product[:, :width], product[:, width:]))
        w1, w2 = gate_up.mT.unbind(), down.mT.unbind()

        def work(own: Iterable[_Job]) -> None:
            x_buffer, h_buffer = (hidden.new_empty(jobs[0].count, size) for size in (dim, width))
            for expert, count in own:
                x, h = x_buffer[:count], h_buffer[:count]
                torch.index_select(hidden, 0, tokens_of[expert], out=x)
                torch.mm(x, w1[expert], out=products[expert])
                torch.ops.aten.silu.out(gates[expert], out=h).mul_(ups[expert])
                torch.mm(h, w2[expert], out=results[expert])

        _share_out(work, [job for job in jobs if job.count], gate_up)
        weight = weights.flatten().index_select(0, order)
        ctx.save_for_backward(hidden, token, place, weight, product, gate_up, down)
        ctx.counts = counts
        return _sum_choices(outputs, place, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, token, place, weight, product, gate_up, down = ctx.saved_tensors
        jobs, dim, width = _jobs(ctx.counts), hidden.shape[1], down.shape[2]
        grad = grad.contiguous()
        d_inputs, d_weight = hidden.new_empty(len(token), dim), torch.empty_like(weight)
        d_gate_up, d_down = torch.empty_like(gate_up), torch.empty_like(down)
        rows = token, product[:, :width], product[:, width:], weight[:, None], d_inputs, d_weight
        of_rows = list(zip(*(whole.split(ctx.counts) for whole in rows), strict=True))
        of_expert = list(zip(*(stack.unbind() for stack in (gate_up, down, d_gate_up, d_down)), strict=True))

        def work(own: Iterable[_Job]) -> None:
            sizes = dim, dim, width, width, width, 2 * width
            buffers = [hidden.new_empty(jobs[0].count, size) for size in sizes]
            for expert, count in own:
                w1, w2, d_w1, d_w2 = of_expert[expert]
                if count == 0:
                    d_w1.zero_()
                    d_w2.zero_()
                    continue
                x, dy, s, h, dh, d_product = (buffer[:count] for buffer in buffers)
                tokens, gate, up, w, d_input, d_w = of_rows[expert]
                torch.index_select(grad, 0, tokens, out=dy)  # of the sum: before this expert's weight
                torch.mm(dy, w2, out=dh)
                torch.ops.aten.silu.out(gate, out=s)
                torch.mul(s, up, out=h)
                # d weight = dy . y = dy . (down h) = (down^T dy) . h, so y need not be kept or made again.
                torch.linalg.vecdot(dh, h, out=d_w)
                torch.mm(dy.mT, h.mul_(w), out=d_w2)
                torch.mul(dh.mul_(w), s, out=d_product[:, width:])
                torch.ops.aten.silu_backward.grad_input(dh.mul_(up), gate, grad_input=d_product[:, :width])
                torch.index_select(hidden, 0, tokens, out=x)
                torch.mm(d_product.mT, x, out=d_w1)
                torch.mm(d_product, w1, out=d_input)

        _share_out(work, jobs, gate_up)
        d_weights = d_weight.index_select(0, place.flatten()).view_as(place)
        return _sum_choices(d_inputs, place), None, d_weights, d_gate_up, d_down


def _jobs(counts: list[int]) -> list[_Job]:
    """The busiest expert first, so that no thread begins a long job when the others have nothing left to do."""
    return sorted((_Job(expert, count) for expert, count in enumerate(counts)), key=lambda job: -job.count)


def worth_sharing(n_choices: int, gate_up: Float[Tensor, "experts twice_hidden dim"]) -> bool:
    """Whether an average expert has work for about 0.1 ms, so that its thread seldom waits for Python's lock.

    Reading an expert's matrices takes as long as some 20 rows of products with them.
    """
    n_experts, twice_hidden, dim = gate_up.shape
    return (n_choices / n_experts + 20) * twice_hidden * dim > 3_500_000


def _share_out(work: Callable[[Iterable[_Job]], None], jobs: list[_Job], gate_up: Tensor) -> None:
    """Do the jobs side by side, one thread to an expert; one that has more than a thread's fair share gets them all."""
    threads = torch.get_num_threads()
    left, together = sum(job.count for job in jobs), 0
    small = not worth_sharing(left, gate_up)
    while together < len(jobs) and (small or jobs[together].count * threads > left):
        left -= jobs[together].count
        together += 1
    work(jobs[:together])
    side_by_side(work, jobs[together:])


def _sum_choices(
    values: Float[Tensor, "choices dim"],
    place: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"] | None = None,
) -> Float[Tensor, "tokens dim"]:
    """Row t is the sum over j of weights[t, j] * values[place[t, j]], without a weighted copy of the values."""
    return F.embedding_bag(place, values, mode="sum", per_sample_weights=weights)
