"""Lesson 08: keeping the experts evenly busy."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model import load_balance
from moe_lessons.model.router import choose


def balance_loss(logits: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"]) -> Float[Tensor, ""]:
    """experts * sum over experts of (share of all choices) * (mean probability)."""
    return load_balance.balance_loss(logits.softmax(dim=-1), experts)


def _normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _logits_and_choices(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[2.0, 1.0, 0.0], [1.0, -1.0, 0.5]]), torch.tensor([[0], [0]])
    for tokens, n_experts, top_k in ((6, 4, 2), (10, 8, 3)):
        logits = 2 * _normal(rng, tokens, n_experts)
        yield logits, choose(logits, top_k)


def _share(logits: Tensor, experts: Tensor) -> Tensor:
    return load_balance.expert_load(experts, logits.shape[1]) / experts.numel()


def _over_chosen_only(logits: Tensor, experts: Tensor) -> Tensor:
    scores = logits.softmax(dim=-1)
    kept = torch.zeros_like(scores).scatter(1, experts, scores.gather(1, experts))
    return load_balance.balance_loss(kept, experts)


EXERCISES = (
    Exercise(
        name="balance_loss",
        task="Return n_experts times the sum over experts of f * p: f is the expert's share of all choices, p its mean "
        "probability over all tokens. A token's probabilities are the softmax of its logits over the experts.",
        reference=balance_loss,
        inputs=_logits_and_choices,
        mistakes={
            "The factor n_experts is missing; with it, perfect balance gives 1 for any number of experts.": (
                lambda logits, experts: balance_loss(logits, experts) / logits.shape[1]
            ),
            "You take the softmax twice; the second one makes all experts look nearly alike.": (
                lambda logits, experts: balance_loss(logits.softmax(dim=-1), experts)
            ),
            "You use raw logits as p; take their softmax over the experts first.": (
                lambda logits, experts: logits.shape[1] * (_share(logits, experts) * logits.mean(dim=0)).sum()
            ),
            "The softmax runs over the tokens; it runs over the experts (dim=-1).": (
                lambda logits, experts: (
                    logits.shape[1] * (_share(logits, experts) * logits.softmax(dim=0).mean(dim=0)).sum()
                )
            ),
            "You average the logits before the softmax; take each token's softmax, then the mean over tokens.": (
                lambda logits, experts: (
                    logits.shape[1] * (_share(logits, experts) * logits.mean(dim=0).softmax(dim=-1)).sum()
                )
            ),
            "p is taken over the chosen experts only, but the idle ones need its gradient most; use all of them.": (
                _over_chosen_only
            ),
            "f is the share of tokens, so it sums to top_k; divide by all choices, tokens times top_k.": (
                lambda logits, experts: balance_loss(logits, experts) * experts.shape[1]
            ),
            "You use the mean probability twice; f counts choices.": (
                lambda logits, experts: logits.shape[1] * logits.softmax(dim=-1).mean(dim=0).square().sum()
            ),
            "You use the counts twice, which no gradient can pass; p is the mean probability.": (
                lambda logits, experts: logits.shape[1] * _share(logits, experts).square().sum()
            ),
            "f counts first choices only; count all top_k of them.": (
                lambda logits, experts: balance_loss(logits, experts[:, :1])
            ),
            "p is summed over the tokens; take the mean, or the loss grows with the batch.": (
                lambda logits, experts: balance_loss(logits, experts) * len(logits)
            ),
        },
        success="f cannot be differentiated and p can: the gradient pushes down the probabilities of busy experts.",
        difficulty=3,
        minutes=12,
        differentiable=True,
        sources=("moe_lessons.model.load_balance.balance_loss",),
    ),
)
