"""A routing rule, learned from what a router did: logits in, experts and weights out, no class known.

Every rule that the course can express is tried, the simplest first; what is returned has explained every token.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moe_lessons.routing_rule import GROUP_SCORES, SCORE_FUNCTIONS, RoutingRule

_ROWS = 512  # tokens that a rule is tried on
ENOUGH = 64  # tokens, after which no rule means that there is none
_FIRST = 32  # tokens that a rule is tried on before all of them


class Evidence(NamedTuple):
    """What a router did to some tokens."""

    logits: Float[Tensor, "tokens experts"]
    experts: Int[Tensor, "tokens top_k"]
    weights: Float[Tensor, "tokens top_k"]
    error: float  # relative, of the arithmetic that they come from

    @staticmethod
    def of(logits: Tensor, experts: Tensor, weights: Tensor) -> "Evidence":
        """The first few hundred tokens, in float32."""
        rough = max(torch.finfo(part.dtype).eps for part in (logits, weights))
        parts = (part.detach()[:_ROWS] for part in (logits, experts, weights))
        logits, experts, weights = parts
        return Evidence(logits.float(), experts.long(), weights.float(), 8 * rough)

    def joined(self, other: "Evidence") -> "Evidence":
        """Both, as far as they are of the same kind; else this alone."""
        if self.logits.shape[1] != other.logits.shape[1] or self.experts.shape[1] != other.experts.shape[1]:
            return self
        logits, experts, weights = (
            torch.cat(both)[: 2 * _ROWS]
            for both in zip(self[:3], other[:3], strict=True)  # this one's first
        )
        return Evidence(logits, experts, weights, max(self.error, other.error))

    def first(self, tokens: int) -> "Evidence":
        """The first of its tokens."""
        return Evidence(self.logits[:tokens], self.experts[:tokens], self.weights[:tokens], self.error)


class Learned(NamedTuple):
    """A rule, and under which name the bias stands that takes part in the choice."""

    rule: RoutingRule
    bias: str | None


def fits(learned: Learned, seen: Evidence, biases: Mapping[str, Tensor]) -> bool:
    """Whether the rule explains every choice and every weight."""
    rule = learned.rule
    if rule.top_k != seen.experts.shape[1] or (learned.bias is not None and learned.bias not in biases):
        return False
    scores = rule.scores(seen.logits)
    if not _chooses(rule, _wanted(scores, learned.bias, biases), seen):
        return False
    ours = rule.weigh(scores.gather(1, seen.experts))
    return torch.allclose(ours, seen.weights, rtol=max(seen.error, 1e-5), atol=1e-7)


def learn(seen: Evidence, biases: Mapping[str, Tensor]) -> Learned | None:
    """The simplest rule that explains what was seen, or None where none does."""
    if not len(seen.logits):
        return None
    for score in SCORE_FUNCTIONS:
        plain = RoutingRule.from_dict({"top_k": seen.experts.shape[1], "score_function": score})
        scores = plain.scores(seen.logits)
        weighing = _weighing(plain, scores.gather(1, seen.experts), seen)
        if weighing is None:
            continue
        few = seen.first(_FIRST)
        wanted = {name: _wanted(scores, name, biases) for name in _names(biases)}
        for rule in _grouped(weighing, seen.logits.shape[1]):
            likely = [name for name, all_ in wanted.items() if _chooses(rule, all_[:_FIRST], few)]
            fitting = [name for name in likely if _chooses(rule, wanted[name], seen)]
            if fitting:
                # A bias that was never needed is believed for its name alone.
                named = [name for name in fitting if name and "bias" in name]
                return Learned(rule, named[0] if named else fitting[0])
    return None


def _names(biases: Mapping[str, Tensor]) -> list[str | None]:
    return [None, *(name for name, bias in biases.items() if (bias != bias.flatten()[0]).any())]


def _wanted(scores: Tensor, name: str | None, biases: Mapping[str, Tensor]) -> Float[Tensor, "tokens experts"]:
    return scores if name is None else scores + biases[name].detach().flatten().float().to(scores.device)


def _chooses(rule: RoutingRule, wanted: Tensor, seen: Evidence) -> bool:
    """Whether no expert that was left out is better than one that was chosen, but for ties and the last bits."""
    if rule.n_groups > 1:
        wanted = _within_groups(rule, wanted, seen)
    worst = wanted.gather(1, seen.experts).amin(dim=1)
    left = wanted.scatter(1, seen.experts, -torch.inf).amax(dim=1)
    close: Bool[Tensor, " tokens"] = worst >= left - seen.error * left.abs().clamp(max=1e30)
    return bool((close & worst.isfinite()).all())


def _within_groups(rule: RoutingRule, wanted: Tensor, seen: Evidence) -> Float[Tensor, "tokens experts"]:
    """The same with -inf outside the groups that the choice must have been made from; of tied groups, those chosen."""
    groups = wanted.unflatten(1, (rule.n_groups, -1))
    of_group = groups.amax(dim=-1) if rule.group_score == "max" else groups.topk(2, dim=-1).values.sum(dim=-1)
    least = of_group.topk(rule.top_groups, dim=1).values[:, -1:]
    error = seen.error * least.abs()
    in_group = seen.experts // groups.shape[2]
    used = torch.zeros_like(of_group, dtype=torch.bool).scatter(1, in_group, True)
    few = used.sum(dim=1, keepdim=True) <= rule.top_groups
    open_ = ((of_group > least + error) | used) & (of_group >= least - error) & few
    return groups.masked_fill(~open_[..., None], -torch.inf).flatten(1)


def _weighing(plain: RoutingRule, chosen: Tensor, seen: Evidence) -> RoutingRule | None:
    """The rule with the normalization and the scale that make these weights of the chosen scores."""
    for normalize in (False, True):
        rule = replace(plain, normalize=normalize)
        ratio = seen.weights / rule.weigh(chosen)
        scale = ratio.median().item()
        close = (ratio - scale).abs() <= max(seen.error, 1e-5) * abs(scale)
        if 0 < scale < 1e30 and bool(close.all()):
            return replace(rule, route_scale=_short(scale, seen.error))
    return None


def _short(value: float, error: float) -> float:
    """The shortest decimal that the number may be."""
    for digits in range(1, 7):
        if abs((short := float(f"{value:.{digits}g}")) - value) <= max(error, 1e-6) * value:
            return short
    return value


def _grouped(rule: RoutingRule, n_experts: int) -> Iterator[RoutingRule]:
    yield rule
    for n_groups in (number for number in range(2, n_experts + 1) if n_experts % number == 0):
        for top_groups in range(1, n_groups):
            for score in GROUP_SCORES:
                room = top_groups * (n_experts // n_groups) >= rule.top_k
                if room and (score == "max" or n_experts // n_groups > 1):
                    groups = {"n_groups": n_groups, "top_groups": top_groups, "group_score": score}
                    yield RoutingRule.from_dict(rule.as_dict() | groups)
