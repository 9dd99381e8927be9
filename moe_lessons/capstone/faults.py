"""What can be wrong with a Routing at first sight: its shapes, its kinds, its numbers, its choices."""

from typing import Any

import torch
from torch import Tensor

from moe_lessons.capstone.report import Finding, refused
from moe_lessons.model.router import Routing


def shape_fault(routing: Any, tokens: int, n_experts: int, top_k: int, dynamic: bool) -> Finding | None:
    """What is wrong with its form, and what to do; None where it is as agreed."""
    parts = Routing._fields
    if not isinstance(routing, tuple) or len(routing) != len(parts) or not all(isinstance(p, Tensor) for p in routing):
        got = f"a tuple of {len(routing)}" if isinstance(routing, tuple) else f"a {type(routing).__name__}"
        advice = "return Routing(weights, experts, scores, logits), or chosen(experts, weights, n_experts)"
        return refused("returns", f"it returns {got}, but a Routing of four tensors was agreed; {advice}")
    routing = Routing(*routing)
    width = routing.experts.shape[-1] if dynamic and routing.experts.ndim == 2 else top_k
    agreed = {name: [tokens, width] for name in parts[:2]} | {name: [tokens, n_experts] for name in parts[2:]}
    for name, shape in agreed.items():
        if list(getattr(routing, name).shape) != shape:
            got = list(getattr(routing, name).shape)
            other = "" if dynamic else "; numbers that differ by token need dynamic=True" if name in parts[:2] else ""
            return refused("shapes", f"{name} has shape {got}, but {shape} was agreed: a row for each token{other}")
    if routing.experts.dtype != torch.int64:
        got = str(routing.experts.dtype).removeprefix("torch.")
        return refused("kinds", f"experts is {got}, but must be int64: they are indices, so use .long() or argsort")
    for name in ("weights", "scores", "logits"):
        if (got := getattr(routing, name).dtype) != torch.float32:
            advice = "half precision flips near ties" if got.itemsize < 4 else "use .float()"
            got = str(got).removeprefix("torch.")
            return refused("kinds", f"{name} is {got}, but must be float32: {advice}")
    return None


def number_fault(routing: Routing, hidden: Tensor) -> Finding | None:
    """The first part with a number that is none, or that lies on another device."""
    for name in ("weights", "scores", "logits"):
        part = getattr(routing, name)
        if part.device != hidden.device:
            return refused("kinds", f"{name} lies on {part.device}, but the tokens on {hidden.device}; make it there")
        if part.isnan().any():
            advice = "look for 0 / 0, the logarithm of 0, or a softmax over a row that is all -inf"
            return refused("numbers", f"{name} holds NaN, which is not a number; {advice}")
        if part.isinf().any():
            advice = (
                "mask with a large number such as -1e9 where others look on" if name == "logits" else "divide by less"
            )
            return refused("numbers", f"{name} holds an infinity; {advice}")
    return None


def choice_fault(routing: Routing, n_experts: int) -> Finding | None:
    """Experts that there are not, or the same one twice."""
    experts = routing.experts
    if experts.numel() and (experts.min() < 0 or experts.max() >= n_experts):
        worst = int(experts.min() if experts.min() < 0 else experts.max())
        return refused("choices", f"it names expert {worst}, but there are the experts 0 to {n_experts - 1}")
    twice = (experts.sort(dim=1).values.diff(dim=1) == 0).any(dim=1)
    if twice.any():
        return refused(
            "choices", f"{int(twice.sum())} of {len(experts)} tokens have the same expert twice, who then does "
            "the same work twice; choose different ones, as topk or argsort do",
        )  # fmt: skip
    return None
