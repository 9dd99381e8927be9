"""Lesson 14: who looks ahead, a balance that drops cannot flatter, and as many experts as a token takes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moe_lessons.capstone.contract import spread
from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.load_balance import max_over_mean
from moe_lessons.model.router import choose

Route = Callable[[Tensor], tuple[Tensor, Tensor]]


def looks_ahead(route: Route, hidden: Float[Tensor, "tokens dim"], n: int) -> bool:
    """Whether what is decided about the first n tokens depends on the tokens after them."""
    other = hidden.clone()
    other[n:] = hidden[n:].flip(0) * -3 + 1
    before, after = (_dense(*route(rows))[:n] for rows in (hidden, other))
    return not torch.allclose(before, after, atol=1e-6)


def live_balance(experts: Int[Tensor, "tokens top_k"], weights: Float[Tensor, "tokens top_k"], n_experts: int) -> float:
    """The busiest expert's load over the mean load, where a choice of weight 0 is no work."""
    return max_over_mean((spread(experts, weights, n_experts) != 0).sum(dim=0))


def fewest_experts(scores: Float[Tensor, "tokens experts"], p: float) -> Bool[Tensor, "tokens experts"]:
    """For each token its best experts, as few as reach p together."""
    order = choose(scores, scores.shape[1])
    ranked = scores.gather(1, order)
    before = ranked.cumsum(dim=1) - ranked
    return torch.zeros_like(scores, dtype=torch.bool).scatter(1, order, before < p)


def _dense(weights: Tensor, experts: Tensor, n_experts: int = 4) -> Tensor:
    return spread(experts, weights, n_experts)


# ---- routers that look ahead, and some that do not


@dataclass(frozen=True)
class _Named:
    """A router that a hint can show by its name."""

    name: str
    function: Route = field(compare=False)

    def __call__(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.function(hidden)

    def __repr__(self) -> str:
        return f"<router: {self.name}>"


def _routers(rng: np.random.Generator) -> dict[str, Route]:
    """Four of them do not look ahead."""
    rows = normal(rng, 4, 6)

    def plain(hidden: Tensor) -> tuple[Tensor, Tensor]:
        scores = (hidden @ rows.T).softmax(dim=-1)
        experts = choose(scores, 2)
        return scores.gather(1, experts), experts

    def of_all(hidden: Tensor) -> tuple[Tensor, Tensor]:
        return plain(hidden - hidden.mean(dim=0))

    def louder(hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = plain(hidden)  # the same experts, but what they weigh depends on the last tokens' spread
        return weights / (1 + hidden[-4:].var(dim=0).mean()), experts

    def queue(hidden: Tensor) -> tuple[Tensor, Tensor]:
        scores = (hidden @ rows.T).softmax(dim=0)  # whatever stands later takes its share of each expert
        experts = choose(scores, 2)
        return scores.gather(1, experts), experts

    def following(hidden: Tensor) -> tuple[Tensor, Tensor]:
        return plain(hidden + hidden.roll(-1, 0))

    def fixed_start(hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = plain(hidden)
        weights[:5], experts[:5] = 0.5, torch.tensor([0, 1])
        return weights, experts

    def others(hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = plain(hidden)  # the same weights for other experts, by one of the last four tokens
        orders = hidden[-4:, :4].argsort(dim=1)
        return weights, orders[torch.arange(len(hidden)) % 4].gather(1, experts)

    def by_signs(hidden: Tensor) -> tuple[Tensor, Tensor]:
        return plain(hidden + hidden.sign().mean(dim=0))

    def sharper(hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = plain(hidden)  # weights that always sum to 1
        return (weights.log() * hidden.square().mean()).softmax(dim=-1), experts

    def of_length(hidden: Tensor) -> tuple[Tensor, Tensor]:
        weights, experts = plain(hidden)
        return weights / len(hidden), experts

    def backward(hidden: Tensor) -> tuple[Tensor, Tensor]:
        steps = torch.arange(1, len(hidden) + 1)[:, None]
        return plain(hidden.cumsum(dim=0) / steps)

    return {
        "token by token": plain,
        "minus the mean": of_all,
        "louder or softer": louder,
        "experts choose": queue,
        "the token after it": following,
        "same weights, other experts": others,
        "signs of all": by_signs,
        "sharper or softer": sharper,
        "by the number of tokens": of_length,
        "mean of what came before": backward,
        "the same start for all": fixed_start,
    }


def _cases_ahead(rng: np.random.Generator) -> Iterator[tuple]:
    hidden = normal(rng, 12, 6)
    for name, route in _routers(rng).items():
        yield _Named(name, route), hidden, 5


def _choices(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0, 1], [0, 2], [0, 3]]), torch.tensor([[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]), 4
    yield torch.tensor([[0, 1], [1, 0], [0, 1]]), torch.tensor([[0.7, 0.3], [1.0, 0.0], [0.6, 0.4]]), 3
    for tokens, n_experts in ((20, 4), (40, 8)):
        experts = choose(normal(rng, tokens, n_experts) + torch.linspace(1, 0, n_experts), 2)
        weights = normal(rng, tokens, 2).softmax(dim=1)
        yield experts, weights * (weights > 0.3), n_experts


def _scores(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.125, 0.125, 0.25, 0.5], [0.25, 0.25, 0.25, 0.25]]), 0.6
    yield torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.875, 0.125, 0.0, 0.0]]), 0.75
    yield torch.tensor([[0.3, 0.2, 0.1, 0.1]]), 0.35  # scores that do not sum to 1
    for tokens, n_experts, p in ((8, 6, 0.9), (8, 16, 0.4)):
        yield (2 * normal(rng, tokens, n_experts)).softmax(dim=-1), p


# ---- known mistakes


def _compare(change: Callable[[Tensor, int], Tensor], part: Callable[..., Tensor] = _dense) -> Callable[..., bool]:
    """A check that changes the rows in its own way, and compares one part of the first n decisions."""

    def check(route: Route, hidden: Tensor, n: int) -> bool:
        before, after = (part(*route(rows))[:n] for rows in (hidden, change(hidden, n)))
        return not torch.allclose(before.float(), after.float(), atol=1e-6)

    return check


def _later(hidden: Tensor, n: int) -> Tensor:
    return torch.cat([hidden[:n], hidden[n:].flip(0) * -3 + 1])


def _not_only_the_first(route: Route, hidden: Tensor, n: int) -> bool:
    before, after = (_dense(*route(rows)) for rows in (hidden, _later(hidden, n)))
    return not torch.allclose(before, after, atol=1e-6)


def _count(experts: Tensor, weights: Tensor, n_experts: int) -> Tensor:
    return (spread(experts, weights, n_experts) != 0).sum(dim=0)


def _in_order(scores: Tensor, p: float, inside: Callable[[Tensor], Tensor], descending: bool = True) -> Tensor:
    order = choose(scores if descending else -scores, scores.shape[1])
    ranked = scores.gather(1, order)
    return torch.zeros_like(scores, dtype=torch.bool).scatter(1, order, inside(ranked))


EXERCISES = (
    Exercise(
        name="looks_ahead",
        task="`route(hidden)` returns weights and experts, both [tokens, top_k]. Return True if what it decides about "
        "the first n tokens changes when the tokens after them are replaced by others.",
        reference=looks_ahead,
        inputs=_cases_ahead,
        mistakes={
            "You compare the experts alone; a router can also look ahead to decide how much they count.": _compare(
                _later, lambda weights, experts: experts
            ),
            "You compare the weights alone; a router can also look ahead to decide who works.": _compare(
                _later, lambda weights, experts: weights
            ),
            "You cut the later tokens off; a router may depend on how many there are. Put others in their place.": (
                _compare(lambda hidden, n: hidden[:n])
            ),
            "You make the later tokens larger or smaller only; a router that looks at their signs is not caught so.": (
                _compare(lambda hidden, n: torch.cat([hidden[:n], 2 * hidden[n:]]))
            ),
            "You add one number to all later tokens; a router that looks at their differences is not caught so.": (
                _compare(lambda hidden, n: torch.cat([hidden[:n], hidden[n:] + 1]))
            ),
            "You only turn the later tokens' signs; a router that looks at their size is not caught so.": (
                _compare(lambda hidden, n: torch.cat([hidden[:n], -hidden[n:]]))
            ),
            "You change the first tokens; keep those, and change what comes after them.": _compare(
                lambda hidden, n: torch.cat([hidden[:n] * -3 + 1, hidden[n:]])
            ),
            "You compare all tokens; of course the changed ones are routed otherwise, so look at the first n.": (
                _not_only_the_first
            ),
            "You put the later tokens into another order; a router that looks at their mean is not caught so.": (
                _compare(lambda hidden, n: torch.cat([hidden[:n], hidden[n:].flip(0)]))
            ),
            "That is the opposite: True is for a router that looks ahead.": lambda route, hidden, n: (
                not looks_ahead(route, hidden, n)
            ),
            "It finds nobody: is what you hand to `route` the second time really another text?": (
                lambda route, hidden, n: False
            ),
        },
        success="Ten lines that would have saved some papers a retraction: change the suffix, the prefix must stay.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.capstone.checks._looks_ahead",),
    ),
    Exercise(
        name="live_balance",
        task="Return the busiest expert's load over the mean load of all experts. A choice of weight 0 was dropped: "
        "nobody works on it, so it is no load.",
        reference=live_balance,
        inputs=_choices,
        mistakes={
            "You count dropped choices; one of weight 0 is no work.": lambda experts, weights, n_experts: max_over_mean(
                torch.bincount(experts.flatten(), minlength=n_experts)
            ),
            "You add up the weights; a load counts tokens, however much the expert counts for each.": (
                lambda experts, weights, n_experts: float(
                    (load := spread(experts, weights, n_experts).sum(dim=0)).max() / load.mean()
                )
            ),
            "Your mean leaves out the experts without work; the mean is over all n_experts.": (
                lambda experts, weights, n_experts: float(
                    (load := _count(experts, weights, n_experts)).max() / load[load > 0].float().mean()
                )
            ),
            "You divide the mean by the busiest; it is the other way round.": lambda experts, weights, n_experts: (
                1 / live_balance(experts, weights, n_experts)
            ),
            "You divide by the even share as if nothing had been dropped; divide by the mean of the loads counted.": (
                lambda experts, weights, n_experts: float(
                    _count(experts, weights, n_experts).max() * n_experts / experts.numel()
                )
            ),
            "A dropped choice becomes expert 0; leave it out instead.": lambda experts, weights, n_experts: (
                max_over_mean(torch.bincount((experts * (weights != 0)).flatten(), minlength=n_experts))
            ),
            "That is the busiest load's share of all work; divide by the mean load.": (
                lambda experts, weights, n_experts: live_balance(experts, weights, n_experts) / n_experts
            ),
            "You count first choices only; count every choice that has a weight.": lambda experts, weights, n_experts: (
                live_balance(experts[:, :1], weights[:, :1], n_experts)
            ),
        },
        success="A router that throws its busiest expert's tokens away no longer looks well balanced for doing work.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.load_balance.max_over_mean", "moe_lessons.capstone.contract.spread"),
    ),
    Exercise(
        name="fewest_experts",
        task="Return a mask [tokens, experts]: for each token its best experts, as few as have scores that add up to "
        "p or more. A tie goes to the lower index.",
        reference=fewest_experts,
        inputs=_scores,
        mistakes={
            "The expert with which the sum reaches p is missing; ask whether p was reached before it.": (
                lambda scores, p: _in_order(scores, p, lambda ranked: ranked.cumsum(dim=1) < p)
            ),
            "You keep experts while their sum stays within p; the one that takes it there is missing.": (
                lambda scores, p: _in_order(scores, p, lambda ranked: ranked.cumsum(dim=1) <= p)
            ),
            "One expert too many where the sum reaches p exactly; then it is enough.": lambda scores, p: _in_order(
                scores, p, lambda ranked: ranked.cumsum(dim=1) - ranked <= p
            ),
            "You add up the scores in the order of the experts; sort each token's scores first.": lambda scores, p: (
                scores.cumsum(dim=1) - scores < p
            ),
            "You divide the scores by their sum; p is to be reached by the scores as they are.": lambda scores, p: (
                fewest_experts(scores / scores.sum(dim=1, keepdim=True), p)
            ),
            "You begin with the worst; sort in descending order.": lambda scores, p: _in_order(
                scores, p, lambda ranked: ranked.cumsum(dim=1) - ranked < p, descending=False
            ),
            "The mask is still in the order of the sorted scores; bring it back to the experts' own (scatter).": (
                lambda scores, p: (
                    (ranked := scores.gather(1, choose(scores, scores.shape[1]))).cumsum(dim=1) - ranked < p
                )
            ),
            "You compare each score with p; it is their sum, best first, that must reach p.": lambda scores, p: (
                scores >= p
            ),
        },
        success="Easy tokens get one expert and hard ones several: with dynamic=True, this is a router for the arena.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.model.router.choose",),
    ),
)
