"""Lesson 00: reading a routing trace, and how little of a sparse model is at work."""

from collections.abc import Iterator

import numpy as np

from moe_lessons.exercises.draws import choices
from moe_lessons.exercises.exercise import Exercise


def expert_pairs(experts: np.ndarray) -> int:
    """How many different sets of experts occur in one layer of a trace, given as [tokens, top_k]."""
    return len({tuple(sorted(chosen)) for chosen in experts.tolist()})


def expert_load(experts: np.ndarray, n_experts: int) -> np.ndarray:
    """How many tokens each of the experts received; one that received none counts 0."""
    return np.bincount(experts.ravel(), minlength=n_experts)


def active_share(common: int, per_expert: int, n_experts: int, top_k: int) -> float:
    """The share of a model's parameters that works on one token."""
    return (common + top_k * per_expert) / (common + n_experts * per_expert)


def _layers(rng: np.random.Generator) -> Iterator[tuple]:
    yield (np.array([[0, 1], [1, 0], [2, 3]]),)
    yield (np.array([[3, 5]]),)
    for n_tokens, n_experts in ((20, 4), (60, 8)):
        yield (choices(rng, n_tokens, n_experts, 2).numpy(),)


def _layers_and_sizes(rng: np.random.Generator) -> Iterator[tuple]:
    yield np.array([[0, 1], [1, 0], [1, 2]]), 4
    for n_tokens, n_experts, top_k in ((3, 8, 2), (40, 8, 2), (40, 16, 4)):
        yield choices(rng, n_tokens, n_experts, top_k).numpy(), n_experts


def _sizes(rng: np.random.Generator) -> Iterator[tuple]:
    yield 100, 10, 8, 2
    for _ in range(4):
        n_experts = int(rng.integers(4, 64))
        yield int(rng.integers(50, 500)), int(rng.integers(5, 50)), n_experts, int(rng.integers(1, n_experts))


EXERCISES = (
    Exercise(
        name="expert_pairs",
        task="Count the different pairs of experts in one layer of a trace, an integer array [tokens, 2]. "
        "Experts 3 and 5 are the same pair as 5 and 3.",
        reference=expert_pairs,
        inputs=_layers,
        mistakes={
            "You count (3, 5) and (5, 3) as two pairs; sort each token's experts first.": lambda experts: len(
                {tuple(chosen) for chosen in experts.tolist()}
            ),
            "You count the experts that occur, not the pairs they occur in.": lambda experts: len(np.unique(experts)),
            "You count tokens; two tokens with the same pair count once.": lambda experts: len(experts),
            "You count every pair that these experts could form; count the pairs that occur.": lambda experts: (
                len(np.unique(experts)) * (len(np.unique(experts)) - 1) // 2
            ),
        },
        success="A few experts make many pairs, and each token has its own: that is where a sparse "
        "layer's variety lies.",
        difficulty=1,
        minutes=5,
    ),
    Exercise(
        name="expert_load",
        task="Count how many tokens of a layer each expert received, as an array of n_experts numbers. "
        "An expert that no token chose is in it, with a 0.",
        reference=expert_load,
        inputs=_layers_and_sizes,
        mistakes={
            "Idle experts at the end are missing; np.bincount takes a `minlength`.": lambda experts, n_experts: (
                np.bincount(experts.ravel())
            ),
            "You list only experts that were chosen; an idle one has load 0.": lambda experts, n_experts: np.unique(
                experts, return_counts=True
            )[1],
            "You count each token's first choice only; all top_k choices are work.": lambda experts, n_experts: (
                np.bincount(experts[:, 0], minlength=n_experts)
            ),
            "Those are shares; return how many tokens each expert received.": lambda experts, n_experts: (
                np.bincount(experts.ravel(), minlength=n_experts) / experts.size
            ),
        },
        success="The sum of the loads is tokens times top_k: no token is lost, but some experts work "
        "much more than others.",
        difficulty=1,
        minutes=5,
    ),
    Exercise(
        name="active_share",
        task="A model has `common` parameters that every token uses, and n_experts experts of "
        "per_expert parameters each, "
        "of which a token uses top_k. Return the share (0 to 1) of all parameters that works on one token.",
        reference=active_share,
        inputs=_sizes,
        mistakes={
            "That is the share of the experts; the common parameters belong above and below the line.": (
                lambda common, per_expert, n_experts, top_k: top_k / n_experts
            ),
            "The common parameters work too; add them above the line.": lambda common, per_expert, n_experts, top_k: (
                top_k * per_expert / (common + n_experts * per_expert)
            ),
            "The common parameters are part of the whole; add them below the line.": (
                lambda common, per_expert, n_experts, top_k: (common + top_k * per_expert) / (n_experts * per_expert)
            ),
            "That is a percentage; return a share between 0 and 1.": lambda common, per_expert, n_experts, top_k: (
                100 * active_share(common, per_expert, n_experts, top_k)
            ),
            "Multiplication and division come first: put parentheses around either sum.": (
                lambda common, per_expert, n_experts, top_k: (
                    common + top_k * per_expert / common + n_experts * per_expert
                )
            ),
            "That compares working with idle parameters; compare with all of them.": (
                lambda common, per_expert, n_experts, top_k: (
                    (common + top_k * per_expert) / ((n_experts - top_k) * per_expert)
                )
            ),
        },
        success="This is the press's 37 of 671 billion in one line; lesson 09 puts DeepSeek's own sizes in.",
        difficulty=1,
        minutes=5,
    ),
)
