"""The routing rule on numpy arrays, with knobs: what the model does, and what it would do with other settings.

`widgets/shared/rule.js` says the same in JavaScript; a test runs both on random cases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from moe_lessons.routing_rule import RoutingRule, one_of, slots_per_expert
from moe_lessons.tracing.noise import unit_noise

DROPPING = ("first come", "priority")


class Routed(NamedTuple):
    """Where each token goes, by the rule."""

    weights: Float[np.ndarray, "*rows top_k"]  # 0 where the choice is dropped
    experts: Int[np.ndarray, "*rows top_k"]  # best first; a tie goes to the lower index
    scores: Float[np.ndarray, "*rows experts"]  # before the bias
    dropped: Bool[np.ndarray, "*rows top_k"]  # choices that found no slot


@dataclass(frozen=True, kw_only=True)
class Knobs(RoutingRule):
    """The rule, and everything else about routing that can be turned without training."""

    top_k: int = 2
    temperature: float = 1.0  # divides the logits
    noise: float = 0.0  # standard deviation of what is then added to them
    seed: int = 0
    capacity: float = 0.0  # slots of each expert as a multiple of an even share, rounded up; 0 is no limit
    dropping: str = "first come"
    bias: tuple[float, ...] = ()  # of each expert, on top of the router's own; empty for none
    off: tuple[int, ...] = ()  # experts that no token may choose

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "off", tuple(sorted({int(expert) for expert in self.off})))
        bias = tuple(float(value) for value in self.bias)
        object.__setattr__(self, "bias", bias if any(bias) else ())  # NaN counts as something
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}, but must be above 0 and finite")
        for name in ("noise", "capacity"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be 0 (none) or more, and finite")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}, but must be from 0 to {2**32 - 1}")
        one_of("dropping", self.dropping, DROPPING)
        if not all(math.isfinite(value) for value in bias):
            raise ValueError("bias has values that are not finite; give each expert a number, 0 for none")

    def check(self, n_experts: int) -> None:
        """Raise ValueError, in one sentence, where no router of `n_experts` can follow."""
        super().check(n_experts, self.off)
        if self.bias and len(self.bias) != n_experts:
            raise ValueError(f"bias has {len(self.bias)} values, but there are {n_experts} experts; give one to each")

    def asks_for(self) -> "Knobs":
        """The same without what has no effect: a seed without noise, a dropping rule without a capacity."""
        return replace(
            self,
            seed=self.seed if self.noise else 0,
            dropping=self.dropping if self.capacity else DROPPING[0],
        )


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
    rule = {"top_k": top_k, "score_function": score_function, "normalize": normalize, "route_scale": route_scale}
    return route_with(logits, bias, Knobs(**rule, temperature=temperature, off=tuple(off)))


def route_with(
    logits: Float[np.ndarray, "*layers tokens experts"],
    bias: Float[np.ndarray, "*#rows experts"] | None,
    knobs: Knobs,
    layers: Sequence[int] = (0,),
) -> Routed:
    """The rule with every knob. Noise depends on the layers' numbers; each layer has slots of its own.

    A dropped choice weighs nothing, and the kept ones are not normalized again. Raises ValueError for a setting that
    cannot be followed.
    """
    n_experts = logits.shape[-1]
    knobs.check(n_experts)
    if np.isnan(logits).any():
        raise ValueError("logits has values that are not finite (nan); the model is broken or was trained too fast")
    scaled = logits.astype(np.float64) / knobs.temperature
    if knobs.noise:
        scaled = scaled + knobs.noise * unit_noise(knobs.seed, layers, *logits.shape[-2:]).reshape(logits.shape)
    scores = knobs.scores(scaled)
    wanted = scores if bias is None else scores + bias.astype(np.float64)
    if knobs.bias:
        wanted = wanted + np.array(knobs.bias)
    if knobs.off:
        wanted = wanted.copy()
        wanted[..., list(knobs.off)] = -np.inf
    if knobs.n_groups > 1:
        wanted = _within_best_groups(wanted, knobs)
    experts = np.argsort(-wanted, axis=-1, kind="stable")[..., : knobs.top_k]
    weights = knobs.weigh(np.take_along_axis(scores, experts, axis=-1))
    dropped = np.zeros(experts.shape, dtype=bool)
    if knobs.capacity:
        slots = slots_per_expert(knobs.capacity, logits.shape[-2], knobs.top_k, n_experts)
        for at in np.ndindex(logits.shape[:-2]):
            dropped[at] = _without_slot(experts[at], weights[at], n_experts, slots, knobs.dropping)
        weights = np.where(dropped, 0.0, weights)
    return Routed(weights, experts, scores, dropped)


def best_groups(
    wanted: Float[np.ndarray, "*rows experts"], knobs: Knobs | RoutingRule
) -> Bool[np.ndarray, "*rows groups"]:
    """Which groups a token may choose its experts from, by its scores plus bias; a tie goes to the lower index."""
    best = np.sort(wanted.reshape(*wanted.shape[:-1], knobs.n_groups, -1), axis=-1)
    of_group = best[..., -1] if knobs.group_score == "max" or knobs.n_groups == 1 else best[..., -1] + best[..., -2]
    chosen = np.argsort(-of_group, axis=-1, kind="stable")[..., : knobs.top_groups]
    inside = np.zeros(of_group.shape, dtype=bool)
    np.put_along_axis(inside, chosen, True, axis=-1)
    return inside


def _within_best_groups(wanted: np.ndarray, knobs: Knobs) -> np.ndarray:
    groups = wanted.reshape(*wanted.shape[:-1], knobs.n_groups, -1)
    return np.where(best_groups(wanted, knobs)[..., None], groups, -np.inf).reshape(wanted.shape)


def order_of_service(
    weights: Float[np.ndarray, "tokens top_k"], dropping: str = DROPPING[0]
) -> Int[np.ndarray, " choices"]:
    """All choices `token * top_k + rank` in the order in which they are given slots.

    All first choices come first, then all second ones; within a rank the earlier tokens, or with "priority" the
    heavier choices, a tie going to the earlier token.

    >>> order_of_service(np.array([[0.9, 0.1], [0.6, 0.4]]), "priority")
    array([0, 2, 3, 1])
    """
    # In float32, so that the last bit of a sum decides nothing.
    turns = -weights.astype(np.float32) if dropping == "priority" else np.zeros(weights.shape)
    turn = np.argsort(turns, axis=0, kind="stable")  # which token is served next, in each rank
    return (turn * weights.shape[1] + np.arange(weights.shape[1])).T.ravel()


def _without_slot(
    experts: Int[np.ndarray, "tokens top_k"], weights: np.ndarray, n_experts: int, slots: int, dropping: str
) -> Bool[np.ndarray, "tokens top_k"]:
    """The choices that come too late for one of their expert's slots."""
    served = order_of_service(weights, dropping)
    queue = experts.ravel()[served]
    order = np.argsort(queue, kind="stable")
    counts = np.bincount(queue, minlength=n_experts)
    late = np.zeros(experts.size, dtype=bool)
    late[served[order]] = np.arange(len(order)) - (np.cumsum(counts) - counts)[queue[order]] >= slots
    return late.reshape(experts.shape)
