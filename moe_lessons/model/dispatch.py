"""Ways to bring tokens to their experts and the results back: the same sum, at very different speeds.

Each takes `hidden`, the chosen `experts`, their `weights`, and the stacked matrices of all experts, and returns for
each token the sum over its choices of weight * down(silu(gate(token)) * up(token)).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from moe_lessons.model.fused_dispatch import fused, worth_sharing


def gated(gate_up: Float[Tensor, "*rows twice_hidden"]) -> Float[Tensor, "*rows hidden"]:
    """silu(first half) * second half."""
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def loop(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """Ask each expert in turn which tokens are its own: one search through all choices for every expert."""
    result = torch.zeros_like(hidden)
    # unbind once: indexing one expert at a time would allocate a full-sized gradient for each.
    for expert, (w1, w2) in enumerate(zip(gate_up.unbind(), down.unbind(), strict=True)):
        tokens, choice = torch.where(experts == expert)
        output = F.linear(gated(F.linear(hidden[tokens], w1)), w2)
        result = result.index_add(0, tokens, (output * weights[tokens, choice, None]).to(result.dtype))
    return result


def one_hot(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """Send tokens with products of zeros and ones into equal slots (GShard, arXiv:2006.16668), none dropped.

    Each expert gets as many slots as the busiest one needs; the zeros cost tokens * experts * slots products.
    """
    chosen = F.one_hot(experts, len(gate_up))  # tokens top_k experts
    slot = chosen.flatten(0, 1).cumsum(0).view_as(chosen) - 1
    capacity = int(chosen.sum((0, 1)).max()) if experts.numel() else 0
    place = F.one_hot(slot.clamp(0, max(capacity - 1, 0)), max(capacity, 1)) * chosen[..., None]
    send = place.sum(1).to(hidden.dtype)  # tokens experts slots
    combine = (place * weights[..., None, None]).sum(1).to(hidden.dtype)
    inputs = torch.einsum("tes,td->esd", send, hidden)
    outputs = torch.einsum("esh,edh->esd", gated(torch.einsum("esd,ehd->esh", inputs, gate_up)), down)
    return torch.einsum("tes,esd->td", combine, outputs)


def sort_by_expert(
    experts: Int[Tensor, "tokens top_k"], n_experts: int
) -> tuple[Int[Tensor, " choices"], Int[Tensor, " experts"]]:
    """The order that puts all (token, choice) pairs of one expert side by side, and how many each expert has."""
    flat = experts.flatten()
    counts = torch.zeros(n_experts, dtype=torch.long, device=flat.device)  # bincount would keep a GPU waiting
    return flat.argsort(stable=True), counts.scatter_add_(0, flat, torch.ones_like(flat))


def sorted_by_expert(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """Sort the choices by expert once; each expert's work is then one dense product on neighboring rows."""
    order, counts = sort_by_expert(experts, len(gate_up))
    rows = order // experts.shape[1]
    inputs = hidden[rows].split(counts.tolist())
    outputs = [
        F.linear(gated(F.linear(tokens, w1)), w2)
        for tokens, w1, w2 in zip(inputs, gate_up.unbind(), down.unbind(), strict=True)
    ]
    weighted = torch.cat(outputs) * weights.flatten()[order, None]
    return torch.zeros_like(hidden).index_add(0, rows, weighted.to(hidden.dtype))


def grouped(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """As sorted, with all experts' products in one call: no host round trip, so a GPU is never kept waiting.

    Needs float32 or bfloat16, and rows whose size is a multiple of 16 bytes.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        operands = hidden.to(dtype), gate_up.to(dtype), down.to(dtype)
    else:
        operands = hidden, gate_up, down
    tokens, w1, w2 = operands
    order, counts = sort_by_expert(experts, len(gate_up))
    rows = order // experts.shape[1]
    ends = counts.cumsum(0).to(torch.int32)
    middle = gated(F.grouped_mm(tokens[rows], w1.mT, offs=ends))
    outputs = F.grouped_mm(middle, w2.mT, offs=ends)
    weighted = outputs * weights.flatten()[order, None]
    return torch.zeros_like(hidden).index_add(0, rows, weighted.to(hidden.dtype))


STRATEGIES: dict[str, Callable[..., Tensor]] = {
    "loop": loop,
    "one_hot": one_hot,
    "sorted": sorted_by_expert,
    "grouped": grouped,
    "fused": fused,
}


def fastest(hidden: Tensor, experts: Tensor, gate_up: Tensor) -> str:
    """The fastest correct way for this device, precision and size."""
    device = hidden.device.type
    if device not in ("cpu", "cuda"):
        return "sorted"
    if autocast := torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    else:
        dtype = hidden.dtype if hidden.dtype == gate_up.dtype else None
    # Matrices whose rows are 16 bytes or a multiple of it are what the grouped product takes.
    _, twice_hidden, dim = gate_up.shape
    aligned = dtype is not None and all(size * dtype.itemsize % 16 == 0 for size in (twice_hidden // 2, dim))
    if device == "cuda":
        modern = torch.cuda.get_device_capability(hidden.device) >= (8, 0)
        return "grouped" if modern and aligned and dtype == torch.bfloat16 and len(hidden) else "sorted"
    if autocast or dtype != torch.float32:
        return "sorted"
    if worth_sharing(experts.numel(), gate_up):
        return "fused"
    return "grouped" if aligned else "sorted"


def one_by_one(
    hidden: Float[Tensor, "tokens dim"],
    experts: Int[Tensor, "tokens top_k"],
    weights: Float[Tensor, "tokens top_k"],
    gate_up: Float[Tensor, "experts twice_hidden dim"],
    down: Float[Tensor, "experts dim hidden"],
) -> Float[Tensor, "tokens dim"]:
    """Take each token to its own experts: for so few that looking for them at every expert takes longer (see `few`).

    No strategy for training, where each choice would get a gradient as large as the whole stack.
    """
    results = []
    for token, chosen in enumerate(experts.tolist()):
        row = hidden[token : token + 1]
        middle = gated(torch.cat([F.linear(row, gate_up[expert]) for expert in chosen])) * weights[token, :, None]
        first, *others = [F.linear(middle[i : i + 1], down[expert]) for i, expert in enumerate(chosen)]
        results.append(sum(others, start=first))
    return torch.cat(results)


def few(hidden: Tensor, experts: Tensor, gate_up: Tensor) -> bool:
    """Whether `one_by_one` is the fastest: without gradients, on a CPU, for one token or some among many experts."""
    return (
        not torch.is_grad_enabled()
        and hidden.is_cpu
        and hidden.dtype == gate_up.dtype == torch.float32
        and (len(hidden) == 1 or 0 < 3 * experts.numel() <= len(gate_up))
        and not worth_sharing(experts.numel(), gate_up)
    )
