"""Lesson 05: mixing answers, and three bugs that keep a router from learning."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from moe_lessons.config import MoEConfig
from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.router import Router, Routing, choose


def _route(logits: Tensor, top_k: int, normalize: bool = True) -> Routing:
    n_experts = logits.shape[1]
    config = MoEConfig(n_routed_experts=n_experts, top_k=top_k, hidden_dim=1, normalize=normalize)
    # With the identity as its matrix, the package's router passes the logits through.
    return functional_call(Router(n_experts, config), {"weight": torch.eye(n_experts)}, logits)


def mixture(
    logits: Float[Tensor, "tokens experts"], answers: Float[Tensor, "tokens experts"], top_k: int
) -> Float[Tensor, " tokens"]:
    """Each token's answer: those of its top_k experts, weighted; a token's weights sum to 1."""
    routing = _route(logits, top_k)
    return (routing.weights * answers.gather(1, routing.experts)).sum(dim=-1)


def top1_weight(logits: Float[Tensor, "tokens experts"]) -> Float[Tensor, " tokens"]:
    """How much the best expert counts where it works alone: its softmax score, as in Switch Transformer."""
    return _route(logits, 1, normalize=False).weights.squeeze(-1)


def keep_top_k(logits: Float[Tensor, "tokens experts"], top_k: int) -> Float[Tensor, "tokens experts"]:
    """The softmax over each token's top_k logits, and exactly 0 for all other experts."""
    routing = _route(logits, top_k)
    return torch.zeros_like(logits).scatter(1, routing.experts, routing.weights)


def noisy_logits(
    hidden: Float[Tensor, "tokens dim"],
    weight: Float[Tensor, "experts dim"],
    noise_weight: Float[Tensor, "experts dim"],
    normal: Float[Tensor, "tokens experts"],
    training: bool,
) -> Float[Tensor, "tokens experts"]:
    """The router's logits; while training, plus softplus(noise_weight . hidden) times a normal draw."""
    logits = F.linear(hidden, weight)
    return logits + F.softplus(F.linear(hidden, noise_weight)) * normal if training else logits


def router_pull(
    logits: Float[Tensor, "tokens experts"],
    answers: Float[Tensor, "tokens experts"],
    target: Float[Tensor, " tokens"],
    top_k: int,
) -> Float[Tensor, "tokens experts"]:
    """The gradient of the squared error of `mixture`, summed over tokens, with respect to the logits."""
    leaf = logits.detach().clone().requires_grad_()
    loss = (mixture(leaf, answers, top_k) - target).square().sum()
    return torch.autograd.grad(loss, leaf)[0]


def _logits_and_answers(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[10.0, 20.0, 90.0]]), 2
    for tokens, n_experts, top_k in ((3, 4, 2), (5, 6, 1), (4, 6, 3), (4, 4, 4)):
        yield 2 * normal(rng, tokens, n_experts), 3 * normal(rng, tokens, n_experts), top_k


def _logits(rng: np.random.Generator) -> Iterator[tuple]:
    yield (torch.tensor([[2.0, 1.0, 0.0]]),)
    for tokens, n_experts in ((4, 6), (6, 3)):
        yield (2 * normal(rng, tokens, n_experts),)


def _logits_with_ties(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[2.0, 1.0, 0.0, -1.0]]), 2
    for tokens, n_experts, top_k in ((3, 6, 2), (4, 5, 1), (3, 4, 4)):
        yield 2 * normal(rng, tokens, n_experts), top_k
    yield torch.tensor([[1.0, 3.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]]), 2


def _router_inputs(rng: np.random.Generator) -> Iterator[tuple]:
    one = torch.ones(1, 1)
    yield one, torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [-0.5]]), torch.tensor([[1.0, -2.0]]), False
    yield one, torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5], [-0.5]]), torch.tensor([[1.0, -2.0]]), True
    for training in (True, False, True):
        yield normal(rng, 4, 3), normal(rng, 5, 3), normal(rng, 5, 3), normal(rng, 4, 5), training


def _errors(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([3.0]), 2
    for tokens, n_experts, top_k in ((3, 4, 2), (4, 6, 3), (2, 3, 3), (3, 4, 1)):
        yield normal(rng, tokens, n_experts), 2 * normal(rng, tokens, n_experts), normal(rng, tokens), top_k


def _mixed(weights: Tensor, answers: Tensor, experts: Tensor) -> Tensor:
    return (weights * answers.gather(1, experts)).sum(dim=-1)


def _divided(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True)


def _chosen_scores(logits: Tensor, top_k: int, dim: int = -1) -> tuple[Tensor, Tensor]:
    scores = logits.softmax(dim=dim)
    experts = choose(scores, top_k)
    return scores.gather(1, experts), experts


def _mixed_over_tokens(logits: Tensor, answers: Tensor, top_k: int) -> Tensor:
    weights, experts = _chosen_scores(logits, top_k, dim=0)
    return _mixed(_divided(weights), answers, experts)


def _mixed_unnormalized(logits: Tensor, answers: Tensor, top_k: int) -> Tensor:
    weights, experts = _chosen_scores(logits, top_k)
    return _mixed(weights, answers, experts)


def _mixed_twice(logits: Tensor, answers: Tensor, top_k: int) -> Tensor:
    weights, experts = _chosen_scores(logits, top_k)
    return _mixed(weights.softmax(dim=-1), answers, experts)


def _mixed_by_answers(logits: Tensor, answers: Tensor, top_k: int) -> Tensor:
    experts = choose(answers, top_k)
    return _mixed(_divided(logits.softmax(dim=-1).gather(1, experts)), answers, experts)


def _mixed_lowest(logits: Tensor, answers: Tensor, top_k: int) -> Tensor:
    experts = choose(-logits, top_k)
    return _mixed(_divided(logits.softmax(dim=-1).gather(1, experts)), answers, experts)


def _above(logits: Tensor, top_k: int) -> Tensor:
    """Whether a logit is at least the k-th largest: at a tie, more than k are."""
    return logits >= logits.topk(top_k).values[:, -1:]


def _mask(logits: Tensor, top_k: int) -> Tensor:
    return torch.zeros_like(logits).scatter(1, choose(logits, top_k), 1.0).bool()


def _noise(hidden: Tensor, noise_weight: Tensor) -> Tensor:
    return F.softplus(F.linear(hidden, noise_weight))


def _pull(logits: Tensor, answers: Tensor, target: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, and the differences to the mixture and of the mixture to the target: what the gradient is made of."""
    mixed = mixture(logits, answers, top_k)[:, None]
    return keep_top_k(logits, top_k), answers - mixed, mixed - target[:, None]


def _pull_unnormalized(logits: Tensor, answers: Tensor, target: Tensor, top_k: int) -> Tensor:
    leaf = logits.detach().clone().requires_grad_()
    return torch.autograd.grad((_mixed_unnormalized(leaf, answers, top_k) - target).square().sum(), leaf)[0]


EXERCISES = (
    Exercise(
        name="mixture",
        task="Mix the experts' answers for each token: choose the top_k experts by their logits, weigh them by a "
        "softmax over all logits divided by its sum over the chosen, and add up. Return one number a token.",
        reference=mixture,
        inputs=_logits_and_answers,
        mistakes={
            "All experts answer; only the top_k with the largest logits should.": lambda logits, answers, top_k: (
                logits.softmax(dim=-1) * answers
            ).sum(dim=-1),
            "The weights are not normalized: divide them by their sum over the chosen experts.": _mixed_unnormalized,
            "The softmax runs over the tokens; a token's scores are made of its own logits (dim=-1).": (
                _mixed_over_tokens
            ),
            "The chosen experts all count the same; weigh them by their scores.": lambda logits, answers, top_k: (
                answers.gather(1, choose(logits, top_k)).mean(dim=-1)
            ),
            "The answers are added up without weights; the result then grows with top_k.": (
                lambda logits, answers, top_k: answers.gather(1, choose(logits, top_k)).sum(dim=-1)
            ),
            "You take a softmax of scores that are a softmax already; the second one makes the weights nearly equal.": (
                _mixed_twice
            ),
            "You choose the experts with the largest answers; the router's logits decide.": _mixed_by_answers,
            "You choose the experts with the lowest logits; take the highest.": _mixed_lowest,
            "Only the best expert answers; top_k of them should.": lambda logits, answers, top_k: answers.gather(
                1, choose(logits, 1)
            ).squeeze(-1),
        },
        success="With top_k = all experts this is the soft mixture of 1991, with less it is the layer of today.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.router.Router", "moe_lessons.model.router.choose"),
    ),
    Exercise(
        name="top1_weight",
        task="Find the bug: where one expert works alone, return how much it counts, one weight a token, so that the "
        "router learns from it. As in Switch Transformer, that is the largest score of a softmax over all experts.",
        reference=top1_weight,
        inputs=_logits,
        mistakes={
            "The weight is always 1: one score divided by a sum over one score. Leave the division out, or the router "
            "gets no gradient.": lambda logits: _divided(_chosen_scores(logits, 1)[0]).squeeze(-1),
            "The values are right, but cut off from the logits (.detach(), .item() or no_grad): nothing is learned.": (
                lambda logits: top1_weight(logits.detach())
            ),
            "The weight is 1 and hangs on nothing; return the winner's softmax score.": lambda logits: torch.ones(
                len(logits)
            ),
            "The softmax runs over the tokens; it runs over the experts (dim=-1).": lambda logits: (
                logits.softmax(dim=0).max(dim=-1).values
            ),
            "That is the winner's sigmoid; it learns, too, but only from its own logit. Here a softmax is asked for.": (
                lambda logits: logits.max(dim=-1).values.sigmoid()
            ),
            "That is the winner's logit, which may be negative; take the softmax over all experts first.": (
                lambda logits: logits.max(dim=-1).values
            ),
            "You take the softmax twice; one of the scores is wanted as it is.": lambda logits: (
                logits.softmax(dim=-1).softmax(dim=-1).max(dim=-1).values
            ),
        },
        success="All rows of the router hear of it: the winner's score is a fraction with every logit below the line.",
        difficulty=1,
        minutes=5,
        differentiable=True,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="keep_top_k",
        task="Find two bugs: return a weight for every expert, the softmax over a token's top_k logits and exactly 0 "
        "for all others. Of equal logits the lower index wins, so that never more than top_k experts get a weight.",
        reference=keep_top_k,
        inputs=_logits_with_ties,
        mistakes={
            "The others keep a weight, since exp(0) is 1: put -inf in their place, not 0. And at a tie, more than "
            "top_k logits reach the limit.": lambda logits, top_k: logits.where(_above(logits, top_k), 0).softmax(
                dim=-1
            ),
            "The others keep a weight, since exp(0) is 1: put -inf in their place, not 0.": lambda logits, top_k: (
                logits.where(_mask(logits, top_k), 0).softmax(dim=-1)
            ),
            "At a tie, more than top_k experts get a weight; choose by index (`choose`, or a stable sort), not by a "
            "limit.": lambda logits, top_k: logits.where(_above(logits, top_k), -torch.inf).softmax(dim=-1),
            "The others are set to 0 after the softmax, so that the weights no longer sum to 1; choose first.": (
                lambda logits, top_k: logits.softmax(dim=-1) * _mask(logits, top_k)
            ),
            "You choose and then take the softmax over the tokens; it runs over the experts (dim=-1).": (
                lambda logits, top_k: logits.where(_mask(logits, top_k), -torch.inf).softmax(dim=0).nan_to_num()
            ),
            "You keep the lowest logits; keep the highest.": lambda logits, top_k: keep_top_k(-logits, top_k).where(
                _mask(-logits, top_k), 0
            ),
            "The softmax is taken over all experts and nothing is left out.": lambda logits, top_k: logits.softmax(
                dim=-1
            ),
        },
        success="This is equations 3 and 5 of the sparsely gated layer: zeros that cost nothing: nobody is asked.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.router.choose",),
    ),
    Exercise(
        name="noisy_logits",
        task="Find the bug: return the logits, a row of weight times the hidden vector for each expert. Only while "
        "training, each gets noise: its entry of normal times softplus(noise_weight . hidden).",
        reference=noisy_logits,
        inputs=_router_inputs,
        mistakes={
            "The noise is on in evaluation, too: the same input then gets other experts each time.": (
                lambda hidden, weight, noise_weight, normal, training: noisy_logits(
                    hidden, weight, noise_weight, normal, True
                )
            ),
            "The noise is on in evaluation and off in training; it is the other way round.": (
                lambda hidden, weight, noise_weight, normal, training: noisy_logits(
                    hidden, weight, noise_weight, normal, not training
                )
            ),
            "The noise is missing: while training, add it to the logits.": (
                lambda hidden, weight, noise_weight, normal, training: F.linear(hidden, weight)
            ),
            "The softplus is missing, so that a spread can be negative.": (
                lambda hidden, weight, noise_weight, normal, training: (
                    F.linear(hidden, weight) + training * F.linear(hidden, noise_weight) * normal
                )
            ),
            "The spread goes through relu, which is exactly 0, without a gradient, for half of all inputs; "
            "use softplus.": (
                lambda hidden, weight, noise_weight, normal, training: (
                    F.linear(hidden, weight) + training * F.linear(hidden, noise_weight).relu() * normal
                )
            ),
            "All noise has the same size; each expert's own is softplus(noise_weight . hidden).": (
                lambda hidden, weight, noise_weight, normal, training: F.linear(hidden, weight) + training * normal
            ),
            "The spread is made with `weight`; it has a matrix of its own, `noise_weight`.": (
                lambda hidden, weight, noise_weight, normal, training: noisy_logits(
                    hidden, weight, weight, normal, training
                )
            ),
            "All experts get the same draw, which moves no choice; each has its own column of `normal`.": (
                lambda hidden, weight, noise_weight, normal, training: noisy_logits(
                    hidden, weight, noise_weight, normal[:, :1].expand_as(normal), training
                )
            ),
            "The size of the noise is added without the draw: that is a second score, not noise.": (
                lambda hidden, weight, noise_weight, normal, training: (
                    F.linear(hidden, weight) + training * _noise(hidden, noise_weight)
                )
            ),
        },
        success="In training, experts near the top get their chance; in evaluation, one input has one answer.",
        difficulty=1,
        minutes=6,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="router_pull",
        task="Without autograd: the gradient of the squared error (mixture - target) ** 2 with respect to each logit, "
        "for the mixture of exercise 1. It is 0 for all experts that were not chosen.",
        reference=router_pull,
        inputs=_errors,
        mistakes={
            "The factor 2 of the square is missing.": lambda *given: router_pull(*given) / 2,
            "The sign is turned: this is the direction in which the loss falls; the gradient points the other way.": (
                lambda *given: -router_pull(*given)
            ),
            "The weight of each expert is missing: one that hardly counts can hardly help.": lambda *given: (
                2 * _pull(*given)[2] * _pull(*given)[1] * (_pull(*given)[0] > 0)
            ),
            "You use the expert's answer itself; what counts is its difference to the mixture, since the weights of "
            "the others fall when its own rises.": lambda logits, answers, target, top_k: (
                2 * _pull(logits, answers, target, top_k)[2] * keep_top_k(logits, top_k) * answers
            ),
            "You compare each expert with the target; compare it with the mixture.": (
                lambda logits, answers, target, top_k: (
                    2
                    * _pull(logits, answers, target, top_k)[2]
                    * keep_top_k(logits, top_k)
                    * (answers - target[:, None])
                )
            ),
            "Experts that were not chosen get a gradient; their weight is 0 wherever their logit moves a little.": (
                lambda logits, answers, target, top_k: router_pull(logits, answers, target, logits.shape[1])
            ),
            "That is the gradient without normalization, which reaches all rows; here the weights of the chosen "
            "sum to 1.": _pull_unnormalized,
            "The error is missing: how far the mixture is from the target, with its sign.": lambda *given: (
                2 * _pull(*given)[0] * _pull(*given)[1]
            ),
        },
        success="For top_k = 1 every difference to the mixture is 0: you have proved that such a router starves.",
        difficulty=3,
        minutes=12,
        sources=("moe_lessons.exercises.lesson_05.mixture",),
    ),
)
