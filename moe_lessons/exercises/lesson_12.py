"""Lesson 12: FLOPs, bytes and money; eight bits; loss against compute."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moe_lessons.accounting import power_law
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.exercises.little_memory import LITTLE_MEMORY
from moe_lessons.model.low_precision import LARGEST, from_float8, spread, to_float8


def training_price(
    active: float, tokens: float, peak: float, utilization: float, price_per_hour: float
) -> tuple[float, float]:
    """Device hours and money of a training run, by 6 FLOPs for each active parameter and token."""
    hours = 6 * active * tokens / (peak * utilization) / 3600
    return hours, hours * price_per_hour


def mfu(flops_per_token: float, tokens: float, hours: float, peak: float) -> float:
    """The share of a device's peak that a training run used, from its bill."""
    return flops_per_token * tokens / (hours * 3600 * peak)


def step_seconds(flops: float, n_bytes: float, peak: float, bandwidth: float) -> tuple[float, str]:
    """How long a step takes at best, and what it waits for: "arithmetic" or "memory"."""
    arithmetic, memory = flops / peak, n_bytes / bandwidth
    return max(arithmetic, memory), "memory" if memory > arithmetic else "arithmetic"


def weights_read(always: float, routed: float, n_experts: int, top_k: int, batch: int) -> float:
    """Parameters that one step reads, where each token of the batch chooses its experts evenly and alone."""
    return always + routed * (1 - (1 - top_k / n_experts) ** batch)


def tiled(numbers: Float[Tensor, "tokens dim"], width: int) -> Float[Tensor, "tokens dim"]:
    """What eight bits make of the numbers, with one scale for every `width` neighboring channels of each token."""
    return from_float8(to_float8(numbers, (1, width)))


def frontier(compute: Sequence[float], loss: Sequence[float]) -> list[int]:
    """The runs that nobody beats for less compute, from the cheapest to the dearest."""
    return power_law.frontier(compute, loss).tolist()


def _bills(rng: np.random.Generator) -> Iterator[tuple]:
    yield 37e9, 14.8e12, 989e12, 0.35, 2.0
    for _ in range(3):
        yield (
            float(rng.uniform(1, 400)) * 1e9, float(rng.uniform(1, 20)) * 1e12, float(rng.choice([312e12, 989e12])),
            float(rng.uniform(0.2, 0.6)), float(rng.uniform(1, 4)),
        )  # fmt: skip
    yield 1e9, 2e9, 312e12, 0.4, 1.5  # a small run of 27 hours


def _shares(rng: np.random.Generator) -> Iterator[tuple]:
    yield 250e9, 14.8e12, 2.664e6, 989e12
    for _ in range(3):
        yield (
            float(rng.uniform(50, 2500)) * 1e9,
            float(rng.uniform(1, 20)) * 1e12,
            float(rng.uniform(1, 40)) * 1e6,
            989e12,
        )


def _steps(rng: np.random.Generator) -> Iterator[tuple]:
    yield 2e12, 33.5e9, 1e15, 3.35e12
    yield 2e13, 6.7e9, 1e15, 3.35e12
    for _ in range(4):
        yield float(rng.uniform(1, 30)) * 1e12, float(rng.uniform(1, 60)) * 1e9, 1e15, 3.35e12


def _stacks(rng: np.random.Generator) -> Iterator[tuple]:
    yield 20.0, 160.0, 8, 2, 1
    yield 20.0, 160.0, 8, 2, 3
    for _ in range(3):
        n_experts = int(rng.integers(8, 256))
        yield 17e9, 654e9, n_experts, int(rng.integers(1, 7)), int(rng.integers(2, 200))


def _activations(rng: np.random.Generator) -> Iterator[tuple]:
    for tokens, dim, width in ((3, 8, 4), (6, 32, 8), (5, 24, 8)):
        numbers = rng.standard_normal((tokens, dim), dtype=np.float32)
        numbers[1, 2] = -1e6  # a tile with an outlier; its largest number is negative
        yield torch.from_numpy(numbers), width
    yield torch.from_numpy(-np.abs(rng.standard_normal((4, 16), dtype=np.float32))), 4
    yield torch.tensor([[0.0, 0.0, 3.0, -1.0], [0.1, 0.2, 0.0, 0.0]]), 2  # tiles of zeros


def _runs(rng: np.random.Generator) -> Iterator[tuple]:
    yield [1.0, 2.0, 4.0, 8.0], [3.0, 3.5, 2.0, 2.5]
    yield [4.0, 1.0, 2.0, 8.0, 16.0], [2.5, 4.0, 3.0, 2.5, 2.0]
    yield [1.0, 1.0, 2.0], [3.0, 2.0, 1.0]
    for _ in range(3):
        compute = rng.permutation(12).astype(float) + 1
        yield compute.tolist(), (5 - np.log(compute) + 0.6 * rng.standard_normal(12)).tolist()


def _with_scales(numbers: Tensor, width: int, largest: Tensor) -> Tensor:
    """Round with other scales than each tile's own; they may even be negative."""
    scales = spread(largest / LARGEST, (1, width), tuple(numbers.shape))
    scales = scales.where(scales != 0, 1.0)
    return (numbers / scales).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn).float() * scales


def _by_tile(numbers: Tensor, width: int) -> Tensor:
    return numbers.unflatten(1, (-1, width))


def _over_tokens(numbers: Tensor, width: int) -> Tensor:
    largest = numbers.abs().amax(dim=0, keepdim=True).expand_as(numbers)
    return _with_scales(numbers, 1, largest)


def _kept(compute: Sequence[float], loss: Sequence[float], order: Iterable[int], equal: bool = False) -> list[int]:
    kept: list[int] = []
    for run in order:
        if all(loss[run] < loss[other] or (equal and loss[run] == loss[other]) for other in kept):
            kept.append(int(run))
    return kept


EXERCISES = (
    Exercise(
        name="training_price",
        task="Return (device hours, price) of a training run on `tokens` tokens: 6 FLOPs for each active parameter and "
        "token, at the given share of the peak (FLOPs a second) of one device.",
        reference=training_price,
        inputs=_bills,
        mistakes={
            "Two FLOPs are the forward pass alone; backward costs twice as much again, so 6.": (
                lambda active, tokens, peak, utilization, price: training_price(
                    active / 3, tokens, peak, utilization, price
                )
            ),
            "The utilization is forgotten: a run that uses half of the peak takes twice as long.": (
                lambda active, tokens, peak, utilization, price: training_price(active, tokens, peak, 1.0, price)
            ),
            "You multiply by the utilization; a lower one makes the run longer, so divide.": (
                lambda active, tokens, peak, utilization, price: training_price(
                    active, tokens, peak, 1 / utilization, price
                )
            ),
            "These are seconds; an hour has 3,600 of them.": lambda active, tokens, peak, utilization, price: (
                training_price(3600 * active, tokens, peak, utilization, price)
            ),
            "You cut the hours down to whole ones; a part of an hour is paid for as well.": (
                lambda active, tokens, peak, utilization, price: (
                    (hours := int(training_price(active, tokens, peak, utilization, price)[0])),
                    hours * price,
                )
            ),
            "The hours are right, and the price is theirs; you return them the other way round.": (
                lambda active, tokens, peak, utilization, price: training_price(
                    active, tokens, peak, utilization, price
                )[::-1]
            ),
        },
        success="With the active parameters of DeepSeek-V3 this gives about five million dollars on a napkin.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.accounting.price.training_hours",),
    ),
    Exercise(
        name="mfu",
        task="Turn the bill round: return the share of the peak that a run used (model FLOPs utilization), from the "
        "FLOPs of a token, the tokens, the device hours and one device's peak (FLOPs a second).",
        reference=mfu,
        inputs=_shares,
        mistakes={
            "The hours are not seconds yet; the peak is per second.": lambda flops, tokens, hours, peak: mfu(
                flops, tokens, hours / 3600, peak
            ),
            "The share is upside down: divide what was computed by what could have been.": (
                lambda flops, tokens, hours, peak: 1 / mfu(flops, tokens, hours, peak)
            ),
            "FLOPs of a token already hold forward and backward; do not take them three times.": (
                lambda flops, tokens, hours, peak: 3 * mfu(flops, tokens, hours, peak)
            ),
            "FLOPs are given for a token as they are; six for each parameter is how one gets there.": (
                lambda flops, tokens, hours, peak: 6 * mfu(flops, tokens, hours, peak)
            ),
            "That is in percent; return a share between 0 and 1.": lambda flops, tokens, hours, peak: (
                100 * mfu(flops, tokens, hours, peak)
            ),
            "The tokens are missing: this is the share for one token.": lambda flops, tokens, hours, peak: mfu(
                flops, 1, hours, peak
            ),
        },
        success="Two published numbers and a count of FLOPs, and you know how busy somebody else's machines were.",
        difficulty=1,
        minutes=4,
        sources=("moe_lessons.accounting.price.utilization",),
    ),
    Exercise(
        name="step_seconds",
        task='Return (seconds, bound) of a step that makes `flops` and reads `n_bytes`, where bound is "arithmetic" or '
        '"memory". Reading and multiplying overlap, so the longer one decides.',
        reference=step_seconds,
        inputs=_steps,
        mistakes={
            "You add the two; they overlap, so the step takes as long as the longer one.": (
                lambda flops, n_bytes, peak, bandwidth: (
                    flops / peak + n_bytes / bandwidth,
                    step_seconds(flops, n_bytes, peak, bandwidth)[1],
                )
            ),
            "You take the shorter one; the step is over when both are.": lambda flops, n_bytes, peak, bandwidth: (
                min(flops / peak, n_bytes / bandwidth),
                step_seconds(flops, n_bytes, peak, bandwidth)[1],
            ),
            "The seconds are right, the names are the wrong way round: it waits for what takes longer.": (
                lambda flops, n_bytes, peak, bandwidth: (
                    step_seconds(flops, n_bytes, peak, bandwidth)[0],
                    "arithmetic" if n_bytes / bandwidth > flops / peak else "memory",
                )
            ),
            "The seconds are right; the bound compares FLOPs with bytes, and neither is a time.": (
                lambda flops, n_bytes, peak, bandwidth: (
                    step_seconds(flops, n_bytes, peak, bandwidth)[0],
                    "memory" if n_bytes > flops else "arithmetic",
                )
            ),
        },
        success="This is the roofline: every kernel of every model lies under one of these two lines.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.accounting.price.generation_speed",),
    ),
    Exercise(
        name="weights_read",
        task="Return how many parameters a step reads that writes one token in each of `batch` texts: `always` "
        "(attention, shared experts, head) and those of the `routed` ones whose expert some token chose. Each token "
        "chooses top_k of n_experts evenly, whatever the others choose.",
        reference=weights_read,
        inputs=_stacks,
        mistakes={
            "All experts are read even for one token; an expert that nobody chose can stay where it is.": (
                lambda always, routed, n_experts, top_k, batch: always + routed
            ),
            "This is one token's share; each further token brings experts that no other chose.": (
                lambda always, routed, n_experts, top_k, batch: always + routed * top_k / n_experts
            ),
            "Experts that two tokens share are read once; a sum over tokens counts them twice.": (
                lambda always, routed, n_experts, top_k, batch: always + routed * batch * top_k / n_experts
            ),
            "A sum over tokens, cut off at all experts, still counts shared ones twice: ask for the chance that nobody "
            "chose an expert.": lambda always, routed, n_experts, top_k, batch: (
                always + routed * min(1.0, batch * top_k / n_experts)
            ),
            "`always` is missing; it is read by every step.": lambda always, routed, n_experts, top_k, batch: (
                weights_read(0, routed, n_experts, top_k, batch)
            ),
            "You read `always` for each text; all texts of a step share one reading.": (
                lambda always, routed, n_experts, top_k, batch: weights_read(
                    batch * always, routed, n_experts, top_k, batch
                )
            ),
            "You let a token choose the same expert twice: it leaves one alone with 1 - top_k / n_experts.": (
                lambda always, routed, n_experts, top_k, batch: (
                    always + routed * (1 - (1 - 1 / n_experts) ** (top_k * batch))
                )
            ),
            "This is what is left unread: take it from 1.": lambda always, routed, n_experts, top_k, batch: (
                always + routed * (1 - top_k / n_experts) ** batch
            ),
        },
        success="One text is cheap to serve, sixty need most weights: sparse models like to be asked by thousands.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.accounting.price.generation_speed",),
    ),
    Exercise(
        name="tiled",
        task="Find the bug: round numbers to float8_e4m3fn and back, with one scale for every `width` neighboring "
        "channels of each token, so that the tile's largest number becomes 448. dim is a multiple of width.",
        reference=tiled,
        inputs=_activations,
        mistakes={
            "The largest number is looked for without its sign; take the absolute value, or a negative one is cut.": (
                lambda numbers, width: _with_scales(numbers, width, _by_tile(numbers, width).amax(dim=-1))
            ),
            "A tile of zeros has the scale 0, and 0 / 0 is NaN; give it any other scale.": lambda numbers, width: (
                ((tiles := _by_tile(numbers, width)) / (scales := tiles.abs().amax(dim=-1, keepdim=True) / LARGEST))
                .to(torch.float8_e4m3fn)
                .float()
                .mul(scales)
                .flatten(1)
            ),
            "One scale serves the whole matrix; each tile needs its own, or one outlier flattens all.": (
                lambda numbers, width: from_float8(to_float8(numbers))
            ),
            "One scale serves a whole token; its other tiles suffer from an outlier in one of them.": (
                lambda numbers, width: from_float8(to_float8(numbers, (1, numbers.shape[1])))
            ),
            "The scales belong to channels, over all tokens; a tile lies within one token.": _over_tokens,
            "The numbers are rounded without a scale; divide by it before and multiply after.": lambda numbers, width: (
                numbers.clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn).float()
            ),
            "The scale comes from the mean; the largest number then falls out of the range and is cut off.": (
                lambda numbers, width: _with_scales(numbers, width, _by_tile(numbers, width).abs().mean(dim=-1))
            ),
            "The result is still divided by the scales; multiply by them at the end.": lambda numbers, width: to_float8(
                numbers, (1, width)
            ).values.float(),
        },
        success="An outlier now spoils its own tile and nothing else, for four bytes of scale each.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.model.low_precision.to_float8",),
    ),
    Exercise(
        name="frontier",
        task="Return the indices of the runs that no other beats, from the cheapest to the dearest: a run is on the "
        "frontier if its loss is below that of every run with less compute, or with as much.",
        reference=frontier,
        inputs=_runs,
        mistakes={
            "You return all runs, by compute; leave out those that cost more and are no better.": (
                lambda compute, loss: np.argsort(compute, kind="stable").tolist()
            ),
            "You walk in the order given; sort by compute first.": lambda compute, loss: _kept(
                compute, loss, range(len(loss))
            ),
            "Of runs that cost the same only the best is on the frontier; sort by compute, then by loss.": (
                lambda compute, loss: _kept(compute, loss, np.argsort(compute, kind="stable"))
            ),
            "A run with the same loss for more compute is beaten; ask for less, not for at most.": (
                lambda compute, loss: _kept(compute, loss, np.argsort(compute, kind="stable"), equal=True)
            ),
            "You walk from the dearest to the cheapest; then each cheaper run looks as if it had won.": (
                lambda compute, loss: _kept(compute, loss, np.argsort(compute, kind="stable")[::-1])[::-1]
            ),
            "The runs are right, but given by loss; begin with the cheapest.": lambda compute, loss: frontier(
                compute, loss
            )[::-1],
        },
        success="A law is fitted to what was best for its price; the rest tells how much luck and bad sizes cost.",
        difficulty=2,
        minutes=7,
        sources=("moe_lessons.accounting.power_law.frontier",),
    ),
    *LITTLE_MEMORY,
)
