"""The routing rule: how a router's logits become experts and weights. Its seven settings, and what they compute.

A model's router follows it on tensors (`model/router.py`), traces and knobs on arrays (`tracing/rule.py`), widgets in
JavaScript (`widgets/shared/routing_rule.js`, this file's twin). A score function is added here and there; tests hold
tensors, arrays and JavaScript together.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from jaxtyping import Float

ScoreFunction = Literal["softmax", "sigmoid", "sqrt_softplus"]
GroupScore = Literal["top2", "max"]
SCORE_FUNCTIONS: tuple[str, ...] = get_args(ScoreFunction)
GROUP_SCORES: tuple[str, ...] = get_args(GroupScore)

Numbers = TypeVar("Numbers", bound=Any)  # a tensor of torch or an array of numpy
_LEAST = 1e-37  # of softplus: its root has no slope at 0, which it comes to in float32


class _Scores(NamedTuple):
    """A score function twice; both are made of logits [..., experts]."""

    of_tensor: Callable[[Any], Any]
    of_array: Callable[[Any], Any]


def _softmax(logits: Float[np.ndarray, "*rows experts"]) -> Float[np.ndarray, "*rows experts"]:
    parts = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return parts / parts.sum(axis=-1, keepdims=True)


def _sigmoid(logits: Float[np.ndarray, "*rows experts"]) -> Float[np.ndarray, "*rows experts"]:
    small = np.exp(-np.abs(logits))  # never overflows
    return np.where(logits >= 0, 1 / (1 + small), small / (1 + small))


def _sqrt_softplus(logits: Float[np.ndarray, "*rows experts"]) -> Float[np.ndarray, "*rows experts"]:
    return np.sqrt(np.logaddexp(logits, 0).clip(min=_LEAST))


_SCORES = {
    "softmax": _Scores(lambda logits: logits.softmax(dim=-1), _softmax),
    "sigmoid": _Scores(lambda logits: logits.sigmoid(), _sigmoid),
    # DeepSeek-V4's (arXiv:2606.19348, section 2.1): as the sigmoid, each expert by itself, but without a highest score
    # that all could come to.
    "sqrt_softplus": _Scores(
        lambda logits: logits.logaddexp(logits.new_zeros(())).clamp(min=_LEAST).sqrt(), _sqrt_softplus
    ),
}


@dataclass(frozen=True, kw_only=True)
class RoutingRule:
    """How experts are chosen and weighed, apart from what is learned; refuses nonsense in one sentence.

    >>> RoutingRule(top_k=2).weigh(np.array([0.6, 0.2]))
    array([0.75, 0.25])
    """

    top_k: int  # experts of one token
    score_function: ScoreFunction = "softmax"
    normalize: bool = True  # weights of the chosen experts sum to 1
    route_scale: float = 1.0  # and are then multiplied by this
    n_groups: int = 1  # equal groups of neighboring experts, each on machines of its own
    top_groups: int = 1  # groups that one token may choose its experts from
    # What the best groups are found by: the sum of their two best experts' biased scores (arXiv:2412.19437), or the
    # best one's alone (arXiv:2405.04434).
    group_score: GroupScore = "top2"

    def __post_init__(self) -> None:
        for name in ("top_k", "n_groups", "top_groups"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} is {value!r}, but must be a whole number of at least 1")
            object.__setattr__(self, name, int(value))  # numpy's whole numbers have no form in JSON
        one_of("score_function", self.score_function, SCORE_FUNCTIONS)
        if not 0 < self.route_scale < math.inf:
            raise ValueError(f"route_scale is {self.route_scale}, but must be above 0 and finite; 1 is usual")
        one_of("group_score", self.group_score, GROUP_SCORES)

    def check(self, n_experts: int, off: Collection[int] = ()) -> None:
        """Raise ValueError, in one sentence, where no router of `n_experts`, of which these are off, can follow."""
        if n_experts < 1:
            raise ValueError("there are zero experts, but a router needs at least one")
        if self.top_k > n_experts:
            raise ValueError(f"top_k is {self.top_k}, but must be from 1 to the {n_experts} experts there are")
        if self.top_groups > self.n_groups:
            raise ValueError(f"top_groups is {self.top_groups}, but must be from 1 to n_groups = {self.n_groups}")
        if n_experts % self.n_groups:
            raise ValueError(f"n_groups is {self.n_groups}, but must divide the {n_experts} experts into equal parts")
        size = n_experts // self.n_groups
        if self.n_groups > 1 and size < 2 and self.group_score == "top2":
            raise ValueError(
                f"n_groups is {self.n_groups}, which leaves one expert to a group, but group_score 'top2' adds up two; "
                "make fewer groups or choose 'max'"
            )
        if wrong := [expert for expert in off if not 0 <= expert < n_experts]:
            raise ValueError(f"expert {wrong[0]} cannot be switched off: the experts are 0 to {n_experts - 1}")
        if len(set(off)) > n_experts - self.top_k:
            raise ValueError(
                f"{len(set(off))} of {n_experts} experts are off, which leaves too few for top_k {self.top_k}; "
                "switch some on"
            )
        on = sorted(size - sum(expert // size == group for expert in set(off)) for group in range(self.n_groups))
        left = sum(on[: self.top_groups])  # in the groups with the fewest
        if left < self.top_k:
            raise ValueError(
                f"top_k is {self.top_k}, but {self.top_groups} of {self.n_groups} groups may have only {left} experts "
                "to choose from; raise top_groups or lower top_k"
            )

    def scores(self, logits: Numbers) -> Numbers:
        """What a bias is added to and weights are made of: [..., experts], of tensors or arrays."""
        both = _SCORES[self.score_function]
        return both.of_array(logits) if isinstance(logits, np.ndarray) else both.of_tensor(logits)

    def weigh(self, scores: Numbers) -> Numbers:
        """How much the chosen experts count, from their scores [..., top_k], of tensors or arrays."""
        if self.normalize:
            scores = scores / (scores.sum(-1, keepdims=True) + 1e-20)  # all may have underflowed to 0
        return scores if self.route_scale == 1 else scores * self.route_scale

    def as_dict(self) -> dict[str, Any]:
        """The seven settings under their names, for JSON and for the browser."""
        return {name: getattr(self, name) for name in SETTINGS}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "RoutingRule":
        """The inverse of `as_dict`; an unknown or missing name is a ValueError that says which."""
        if unknown := [name for name in values if name not in SETTINGS]:
            raise ValueError(f"a routing rule has no {unknown[0]}; it has: {', '.join(SETTINGS)}")
        if "top_k" not in values:
            raise ValueError("a routing rule needs top_k, which is not given")
        return RoutingRule(**values)


SETTINGS = tuple(setting.name for setting in fields(RoutingRule))


def _setting(name: str) -> property:
    def put(self: "FollowsRule", value: Any) -> None:
        self.rule = replace(self.rule, **{name: value})

    return property(lambda self: getattr(self.rule, name), put)


class FollowsRule:
    """Shows the settings of its `rule` as its own: to set `router.top_k` puts a changed rule in the place of the old.

    Settings are changed one after the other, so whether they fit together and the experts is for `rule.check` to say.
    """

    rule: RoutingRule

    top_k = _setting("top_k")
    score_function = _setting("score_function")
    normalize = _setting("normalize")
    route_scale = _setting("route_scale")
    n_groups = _setting("n_groups")
    top_groups = _setting("top_groups")
    group_score = _setting("group_score")


def slots_per_expert(factor: float, tokens: int, top_k: int, n_experts: int) -> int:
    """Slots of each expert under a capacity: `factor` times an even share of all choices, rounded up.

    >>> slots_per_expert(1.25, tokens=8, top_k=2, n_experts=4)
    5
    """
    return math.ceil(factor * tokens * top_k / n_experts)


def one_of(name: str, value: object, names: Collection[str]) -> None:
    """Raise ValueError, in one sentence, unless the value is one of these names."""
    if value not in names:
        *first, last = map(repr, names)
        raise ValueError(f"{name} is {value!r}, but must be {', '.join(first)} or {last}")
