"""The routing rule on numpy arrays: what the model does, and what it would do with other settings.

`widgets/shared/routing_rule.js` says the same in JavaScript; a test runs both on random cases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from moe_lessons.tracing.noise import unit_noise

SCORE_FUNCTIONS = ("softmax", "sigmoid")
DROPPING = ("first come", "priority")
GROUP_SCORES = ("top2", "max")


class Routed(NamedTuple):
    """Where each token goes, by the rule."""

    weights: Float[np.ndarray, "*rows top_k"]  # 0 where the choice is dropped
    experts: Int[np.ndarray, "*rows top_k"]  # best first; a tie goes to the lower index
    scores: Float[np.ndarray, "*rows experts"]  # before the bias
    dropped: Bool[np.ndarray, "*rows top_k"]  # choices that found no slot


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """Everything about routing that can be turned without training; refuses nonsense in one sentence."""

    top_k: int = 2
    score_function: str = "softmax"
    normalize: bool = True
    temperature: float = 1.0  # divides the logits
    noise: float = 0.0  # standard deviation of what is then added to them
    seed: int = 0
    capacity: float = 0.0  # slots of each expert as a multiple of an even share, rounded up; 0 is no limit
    dropping: str = "first come"
    bias: tuple[float, ...] = ()  # of each expert, on top of the router's own; empty for none
    off: tuple[int, ...] = ()  # experts that no token may choose
    # Experts in equal groups, of which a token may use the best few (see model/router.py).
    n_groups: int = 1
    top_groups: int = 1
    group_score: str = "top2"

    def __post_init__(self) -> None:
        object.__setattr__(self, "off", tuple(sorted({int(expert) for expert in self.off})))
        bias = tuple(float(value) for value in self.bias)
        object.__setattr__(self, "bias", bias if any(bias) else ())  # NaN counts as something
        if self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}, but a token needs at least 1 expert")
        _one_of("score_function", self.score_function, SCORE_FUNCTIONS)
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}, but must be above 0 and finite")
        for name in ("noise", "capacity"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be 0 (none) or more, and finite")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}, but must be from 0 to {2**32 - 1}")
        _one_of("dropping", self.dropping, DROPPING)
        if not all(math.isfinite(value) for value in bias):
            raise ValueError("bias has values that are not finite; give each expert a number, 0 for none")
        if not 1 <= self.top_groups <= self.n_groups:
            raise ValueError(f"top_groups is {self.top_groups}, but must be from 1 to n_groups = {self.n_groups}")
        _one_of("group_score", self.group_score, GROUP_SCORES)

    def check(self, n_experts: int) -> None:
        """Raise ValueError, in one sentence, where no router of `n_experts` can follow."""
        check_rule(n_experts, self.top_k, self.score_function, self.temperature, self.off)
        if self.bias and len(self.bias) != n_experts:
            raise ValueError(f"bias has {len(self.bias)} values, but there are {n_experts} experts; give one to each")
        if self.n_groups == 1:
            return
        size = n_experts // self.n_groups
        if n_experts % self.n_groups:
            raise ValueError(f"n_groups is {self.n_groups}, but must divide the {n_experts} experts into equal parts")
        if size < 2 and self.group_score == "top2":
            raise ValueError(f"n_groups is {self.n_groups}, but then a group has no two experts for group_score 'top2'")
        on = sorted(size - sum(expert // size == group for expert in self.off) for group in range(self.n_groups))
        left = sum(on[: self.top_groups])  # in the groups with the fewest
        if left < self.top_k:
            raise ValueError(
                f"top_k is {self.top_k}, but {self.top_groups} of {self.n_groups} groups may have only {left} experts "
                "to choose from; raise top_groups or lower top_k"
            )

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
    check_rule(logits.shape[-1], top_k, score_function, temperature, off)
    knobs = Knobs(
        top_k=top_k, score_function=score_function, normalize=normalize, temperature=temperature, off=tuple(off)
    )
    return route_with(logits, bias, knobs, route_scale)


def route_with(
    logits: Float[np.ndarray, "*layers tokens experts"],
    bias: Float[np.ndarray, "*#rows experts"] | None,
    knobs: Knobs,
    route_scale: float = 1.0,
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
    if knobs.score_function == "softmax":
        scores = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
    else:
        small = np.exp(-np.abs(scaled))  # never overflows
        scores = np.where(scaled >= 0, 1 / (1 + small), small / (1 + small))
    wanted = scores if bias is None else scores + bias.astype(np.float64)
    if knobs.bias:
        wanted = wanted + np.array(knobs.bias)
    if knobs.off:
        wanted = wanted.copy()
        wanted[..., list(knobs.off)] = -np.inf
    if knobs.n_groups > 1:
        wanted = _within_best_groups(wanted, knobs)
    experts = np.argsort(-wanted, axis=-1, kind="stable")[..., : knobs.top_k]
    weights = np.take_along_axis(scores, experts, axis=-1)
    if knobs.normalize:
        total = weights.sum(axis=-1, keepdims=True)
        # A bias can choose experts whose scores have underflowed to 0: they then weigh nothing.
        weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    weights = weights * route_scale
    dropped = np.zeros(experts.shape, dtype=bool)
    if knobs.capacity:
        slots = slots_per_expert(knobs.capacity, logits.shape[-2], knobs.top_k, n_experts)
        for at in np.ndindex(logits.shape[:-2]):
            dropped[at] = _without_slot(experts[at], weights[at], n_experts, slots, knobs.dropping)
        weights = np.where(dropped, 0.0, weights)
    return Routed(weights, experts, scores, dropped)


def slots_per_expert(factor: float, tokens: int, top_k: int, n_experts: int) -> int:
    """Slots of each expert: `factor` times an even share of all choices, rounded up; as in `model/capacity.py`."""
    return math.ceil(factor * tokens * top_k / n_experts)


def _within_best_groups(wanted: np.ndarray, knobs: Knobs) -> np.ndarray:
    groups = wanted.reshape(*wanted.shape[:-1], knobs.n_groups, -1)
    best = np.sort(groups, axis=-1)
    of_group = best[..., -1] if knobs.group_score == "max" else best[..., -1] + best[..., -2]
    chosen = np.argsort(-of_group, axis=-1, kind="stable")[..., : knobs.top_groups]
    inside = np.zeros(of_group.shape, dtype=bool)
    np.put_along_axis(inside, chosen, True, axis=-1)
    return np.where(inside[..., None], groups, -np.inf).reshape(wanted.shape)


def order_of_service(
    weights: Float[np.ndarray, "tokens top_k"], dropping: str = DROPPING[0]
) -> Int[np.ndarray, " choices"]:
    """All choices `token * top_k + rank` in the order in which they are given slots.

    All first choices come first, then all second ones; within a rank the earlier tokens, or with "priority" the
    heavier choices, a tie going to the earlier token.
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


def check_rule(n_experts: int, top_k: int, score_function: str, temperature: float = 1.0, off: Sequence[int] = ()):
    """Raise ValueError, in one sentence, for a setting that no router of `n_experts` can follow."""
    if n_experts < 1:
        raise ValueError("there are zero experts, but a router needs at least one")
    if not 1 <= top_k <= n_experts:
        raise ValueError(f"top_k is {top_k}, but must be from 1 to the {n_experts} experts there are")
    _one_of("score_function", score_function, SCORE_FUNCTIONS)
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}, but must be above 0 and finite")
    wrong = [expert for expert in off if not 0 <= expert < n_experts]
    if wrong:
        raise ValueError(f"expert {wrong[0]} cannot be switched off: the experts are 0 to {n_experts - 1}")
    if len(set(off)) > n_experts - top_k:
        raise ValueError(
            f"{len(set(off))} of {n_experts} experts are off, which leaves too few for top_k {top_k}; switch some on"
        )


def _one_of(name: str, value: object, names: Sequence[str]) -> None:
    if value not in names:
        listed = " or ".join(f'"{each}"' for each in names)
        raise ValueError(f"{name} is {value!r}, but must be {listed}")
