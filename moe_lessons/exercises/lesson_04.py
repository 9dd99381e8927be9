"""Lesson 04: what a loss means, how the learning rate moves, and how a next token is drawn."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.generate import next_token_distribution
from moe_lessons.training.evaluate import Evaluation
from moe_lessons.training.schedule import learning_rate_factor


def bits_per_byte(nats_per_token: float, n_tokens: int, n_bytes: int) -> float:
    """A loss in nats per token as bits per byte of the text."""
    total = Evaluation(nats=nats_per_token * n_tokens, tokens=n_tokens, bytes=n_bytes, floor_nats=math.nan)
    return total.bits_per_byte


def perplexity(losses: list[float]) -> float:
    """How many equally likely tokens the model seems to choose between, from its losses in nats, token by token."""
    return math.exp(sum(losses) / len(losses))


def entropy_floor(choices: list[list[float]], n_tokens: int) -> float:
    """The best possible mean loss, in nats per token, on texts of n_tokens tokens made by independent choices."""
    nats = -sum(p * math.log(p) for choice in choices for p in choice if p > 0)
    return nats / n_tokens


def learning_rate(progress: float, warmup: float, final: float) -> float:
    """The share of the peak rate: a straight line from 0 to 1 until warmup, then one down to final at progress 1."""
    return learning_rate_factor(progress, warmup, final)


def top_p(probabilities: Float[Tensor, " vocab"], p: float) -> Float[Tensor, " vocab"]:
    """Keep the fewest likeliest tokens whose probability reaches p, and make them sum to 1 again."""
    return next_token_distribution(probabilities.log(), top_p=p)


def _losses(rng: np.random.Generator) -> Iterator[tuple]:
    yield 1.4, 100, 250
    for _ in range(4):
        yield round(float(rng.uniform(0.5, 7)), 2), int(rng.integers(50, 500)), int(rng.integers(500, 2000))


def _token_losses(rng: np.random.Generator) -> Iterator[tuple]:
    yield ([math.log(2), math.log(8)],)
    yield ([0.0],)
    for length in (5, 20):
        yield ([float(loss) for loss in rng.exponential(1.5, length)],)


def _grammars(rng: np.random.Generator) -> Iterator[tuple]:
    yield [[0.5, 0.5], [0.25, 0.25, 0.5]], 4
    yield [[1.0], [0.5, 0.0, 0.5]], 10
    for n_choices in (3, 6):
        yield [[float(p) for p in rng.dirichlet(np.ones(int(rng.integers(2, 6))))] for _ in range(n_choices)], 12


def _moments(rng: np.random.Generator) -> Iterator[tuple]:
    for progress in (0.05, 0.0, 0.1, 0.55, 1.0, 1.2):
        yield progress, 0.1, 0.2
    for progress in (0.0, 0.3, 1.0):
        yield progress, 0.0, 0.0


def _distributions(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([0.125, 0.5, 0.0625, 0.3125]), 0.75
    yield torch.tensor([0.25, 0.125, 0.625]), 0.01
    yield torch.tensor([0.125, 0.5, 0.125, 0.25]), 0.75  # two tokens reach p exactly
    for size, p in ((8, 0.6), (8, 0.9), (20, 0.5), (6, 1.0)):
        yield torch.from_numpy(rng.dirichlet(np.ones(size))).float(), p


def _mean_entropy(choices: list[list[float]], n_tokens: int) -> float:
    return entropy_floor(choices, len(choices))


def _top_p(
    probabilities: Tensor, p: float, *, drop_crossing: bool = False, renormalize: bool = True, one_more: bool = False
) -> Tensor:
    ordered, order = probabilities.sort(descending=True)
    reached = ordered.cumsum(dim=-1)
    keep = reached <= p + 1e-6 if drop_crossing else reached - ordered < p + (1e-6 if one_more else -1e-6)
    kept = torch.zeros_like(probabilities).scatter(-1, order, ordered * keep)
    return kept / kept.sum() if renormalize else kept


def _top_p_sorted(probabilities: Tensor, p: float) -> Tensor:
    return _top_p(probabilities.sort(descending=True).values, p)


def _above(probabilities: Tensor, p: float) -> Tensor:
    kept = probabilities * (probabilities >= p)
    return kept / kept.sum()


def _unlikeliest(probabilities: Tensor, p: float) -> Tensor:
    ordered, order = probabilities.sort()
    kept = torch.zeros_like(probabilities).scatter(-1, order, ordered * (ordered.cumsum(dim=-1) - ordered < p))
    return kept / kept.sum()


EXERCISES = (
    Exercise(
        name="bits_per_byte",
        task="Turn a mean loss in nats per token into bits per byte, for a text of n_tokens tokens and n_bytes bytes. "
        "One bit is ln 2 nats.",
        reference=bits_per_byte,
        inputs=_losses,
        mistakes={
            "That is nats per byte; divide by ln 2 to get bits.": lambda nats, tokens, size: nats * tokens / size,
            "A nat is more than a bit: divide by ln 2 instead of multiplying.": lambda nats, tokens, size: (
                nats * tokens * math.log(2) / size
            ),
            "That is bits per token; spread the text's bits over its bytes.": lambda nats, tokens, size: (
                nats / math.log(2)
            ),
            "Tokens and bytes are exchanged: the text's bits are bits per token times tokens.": (
                lambda nats, tokens, size: nats / math.log(2) * size / tokens
            ),
            "You divide by the number of tokens as well; the loss is a mean already, so multiply by it.": (
                lambda nats, tokens, size: nats / math.log(2) / size
            ),
            "You divide by 8; the bytes are counted already, so only ln 2 is needed.": lambda nats, tokens, size: (
                nats * tokens / math.log(2) / size / 8
            ),
        },
        success="Two models with different vocabularies can now be compared: a byte is a byte.",
        difficulty=1,
        minutes=4,
        sources=("moe_lessons.training.evaluate.Evaluation",),
    ),
    Exercise(
        name="perplexity",
        task="Return e to the power of the mean loss, from a list of losses in nats, one per token. "
        "A model that guesses among n equally likely tokens has perplexity n.",
        reference=perplexity,
        inputs=_token_losses,
        mistakes={
            "You average e^loss; average the losses first, then take e to that power.": lambda losses: (
                sum(math.exp(loss) for loss in losses) / len(losses)
            ),
            "The losses are in nats, so the base is e, not 2.": lambda losses: 2 ** (sum(losses) / len(losses)),
            "You take the sum of the losses; take their mean.": lambda losses: math.exp(sum(losses)),
            "That is the mean loss; e to that power is the perplexity.": lambda losses: sum(losses) / len(losses),
            "The sign is reversed: that is the probability of a typical token; losses are positive.": lambda losses: (
                math.exp(-sum(losses) / len(losses))
            ),
        },
        success="Mean first, power second: one hopeless token spoils the loss a little, not the whole average.",
        difficulty=1,
        minutes=4,
    ),
    Exercise(
        name="entropy_floor",
        task="A small grammar writes each text by independent choices, each given by its probabilities, and a text has "
        "n_tokens tokens. Return the lowest mean loss, in nats per token, that any model can reach.",
        reference=entropy_floor,
        inputs=_grammars,
        mistakes={
            "That is in bits; use the natural logarithm for nats.": lambda choices, n_tokens: (
                entropy_floor(choices, n_tokens) / math.log(2)
            ),
            "You divide by the number of choices; most tokens involve no choice, but they count too.": _mean_entropy,
            "That is the whole text's entropy; divide by its tokens.": lambda choices, n_tokens: entropy_floor(
                choices, 1
            ),
            "That is the loss of the likeliest text; weigh every outcome's -log p with its probability.": (
                lambda choices, n_tokens: -sum(math.log(max(choice)) for choice in choices) / n_tokens
            ),
            "You treat the outcomes as equally likely; weigh each one's -log p with its probability p.": (
                lambda choices, n_tokens: sum(math.log(len(choice)) for choice in choices) / n_tokens
            ),
            "An outcome of probability 0 never happens and adds nothing; leave it out, as its log does not exist.": (
                lambda choices, n_tokens: -sum(p * math.log(p) for choice in choices for p in choice) / n_tokens
            ),
            "The sign is reversed: logs of probabilities are negative, and a loss is positive.": (
                lambda choices, n_tokens: -entropy_floor(choices, n_tokens)
            ),
        },
        success="No model, however large, gets below this line: what is left is the dice, not a lack of skill.",
        difficulty=2,
        minutes=8,
    ),
    Exercise(
        name="learning_rate",
        task="Return the share of the peak learning rate at a share `progress` of the run: a "
        "straight line from 0 at the "
        "start to 1 at `warmup`, then a straight line to `final` at the end. Past the end it stays at `final`; "
        "a warmup of 0 means none.",
        reference=learning_rate,
        inputs=_moments,
        mistakes={
            "The warm-up is missing: the rate starts at 0 and reaches 1 at `warmup`.": lambda progress, warmup, final: (
                1.0 if progress < warmup else learning_rate_factor(progress, warmup, final)
            ),
            "After `warmup` your rate stays at its peak; from there it goes down, in a straight line, to `final`.": (
                lambda progress, warmup, final: min(1.0, progress / warmup) if warmup else 1.0
            ),
            "The line down starts at `warmup`, not at 0; measure progress from there.": (
                lambda progress, warmup, final: (
                    progress / warmup if progress < warmup else 1 - (1 - final) * min(progress, 1)
                )
            ),
            "The line down has 1 - warmup to go; divide by that, or it ends above `final`.": (
                lambda progress, warmup, final: (
                    progress / warmup if progress < warmup else 1 - (1 - final) * (min(progress, 1) - warmup)
                )
            ),
            "The line down ends at 0; it should end at `final`.": lambda progress, warmup, final: learning_rate_factor(
                progress, warmup, 0.0
            ),
            "`final` is a floor here, but the line should reach it only at the end, less steeply.": (
                lambda progress, warmup, final: (
                    progress / warmup if progress < warmup else max(learning_rate_factor(progress, warmup, 0.0), final)
                )
            ),
            "Past the end the rate goes on falling; keep it at `final`.": lambda progress, warmup, final: (
                progress / warmup if progress < warmup else 1 - (1 - final) * (progress - warmup) / (1 - warmup)
            ),
            "A warmup of 0 divides by zero; without warm-up the rate starts at 1.": lambda progress, warmup, final: (
                progress / warmup if progress <= warmup else learning_rate_factor(progress, warmup, final)
            ),
        },
        success="A small rate first, while nothing is known, and a vanishing one last, to average out the noise.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.training.schedule.learning_rate_factor",),
    ),
    Exercise(
        name="top_p",
        task="Keep the fewest likeliest tokens whose probabilities together reach p, the token that crosses the line "
        "included, and set the others to 0. Make what is left sum to 1, in the vocabulary's order.",
        reference=top_p,
        inputs=_distributions,
        mistakes={
            "You drop the token that crosses p, and at a small p nothing is left; the crossing token belongs to it.": (
                lambda probabilities, p: _top_p(probabilities, p, drop_crossing=True)
            ),
            "You drop the token that crosses p, and what is left does not sum to 1.": lambda probabilities, p: _top_p(
                probabilities, p, drop_crossing=True, renormalize=False
            ),
            "What is left does not sum to 1; divide it by its sum.": lambda probabilities, p: _top_p(
                probabilities, p, renormalize=False
            ),
            "One token too many where the sum reaches p exactly; then it is enough (<, not <=).": (
                lambda probabilities, p: _top_p(probabilities, p, one_more=True)
            ),
            "The result is in the order of probability; put every token back where it was (scatter).": _top_p_sorted,
            "You keep tokens that each have probability p; p is what the kept tokens reach together.": _above,
            "You keep tokens that each have probability p, and the rest does not sum to 1; p is what the kept tokens "
            "reach together.": lambda probabilities, p: probabilities * (probabilities >= p),
            "You collect the unlikeliest tokens first; start with the likeliest.": _unlikeliest,
            "Nothing is cut off.": lambda probabilities, p: probabilities,
        },
        success="A sure model now draws from few tokens and an unsure one from many, with the same p.",
        difficulty=3,
        minutes=12,
        sources=("moe_lessons.model.generate.next_token_distribution",),
    ),
)
