"""The routing rule on numpy arrays: what the model does, and what it would do with other settings.

`widgets/routing_rule.js` says the same in JavaScript; a test runs both on random cases.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

SCORE_FUNCTIONS = ("softmax", "sigmoid")


class Routed(NamedTuple):
    """Where each token goes, by the rule."""

    weights: Float[np.ndarray, "*rows top_k"]
    experts: Int[np.ndarray, "*rows top_k"]  # best first; a tie goes to the lower index
    scores: Float[np.ndarray, "*rows experts"]  # before the bias


def route(
    logits: Float[np.ndarray, "*rows experts"],
    bias: Float[np.ndarray, "*#rows experts"] | None = None,
    top_k: int = 2,
    score_function: str = "softmax",
    normalize: bool = True,
    route_scale: float = 1.0,
    temperature: float = 1.0,
    off: Sequence[int] = (),
) -> Routed:
    """Choose by score plus bias, weigh by score alone; experts in `off` are never chosen.

    Computed in float64. Raises ValueError for a setting that cannot be followed.
    """
    n_experts = logits.shape[-1]
    check_rule(n_experts, top_k, score_function, temperature, off)
    scaled = logits.astype(np.float64) / temperature
    if score_function == "softmax":
        scores = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
    else:
        small = np.exp(-np.abs(scaled))  # never overflows
        scores = np.where(scaled >= 0, 1 / (1 + small), small / (1 + small))
    wanted = scores if bias is None else scores + bias.astype(np.float64)
    if off:
        wanted = wanted.copy()
        wanted[..., list(off)] = -np.inf
    experts = np.argsort(-wanted, axis=-1, kind="stable")[..., :top_k]
    weights = np.take_along_axis(scores, experts, axis=-1)
    if normalize:
        total = weights.sum(axis=-1, keepdims=True)
        # A bias can choose experts whose scores have underflowed to 0: they then weigh nothing.
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return Routed(weights * route_scale, experts, scores)


def check_rule(n_experts: int, top_k: int, score_function: str, temperature: float = 1.0, off: Sequence[int] = ()):
    """Raise ValueError, in one sentence, for a setting that no router of `n_experts` can follow."""
    if n_experts < 1:
        raise ValueError("there are zero experts, but a router needs at least one")
    if not 1 <= top_k <= n_experts:
        raise ValueError(f"top_k is {top_k}, but must be from 1 to the {n_experts} experts there are")
    if score_function not in SCORE_FUNCTIONS:
        raise ValueError(f'score_function is {score_function!r}, but must be "softmax" or "sigmoid"')
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}, but must be above 0 and finite")
    wrong = [expert for expert in off if not 0 <= expert < n_experts]
    if wrong:
        raise ValueError(f"expert {wrong[0]} cannot be switched off: the experts are 0 to {n_experts - 1}")
    if len(set(off)) > n_experts - top_k:
        raise ValueError(
            f"{len(set(off))} of {n_experts} experts are off, which leaves too few for top_k {top_k}; switch some on"
        )
