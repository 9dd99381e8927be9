"""Lesson 15: experts on several processes, and replicas of the busiest."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.parallel import placement


def come_home(
    returned: Float[Tensor, "rows dim"], business: Bool[Tensor, "tokens ranks"]
) -> Float[Tensor, "tokens dim"]:
    """Each token's sum of what the processes that it had business with sent back."""
    _, token = torch.where(business.T)
    return torch.zeros(len(business), returned.shape[1]).index_add(0, token, returned)


def replicas(load: Sequence[int], n_slots: int) -> list[int]:
    """Copies of each expert: every slot beyond one each goes to the expert whose copies carry the most."""
    return placement.replicate(np.array(load), n_slots).tolist()


def _answers(rng: np.random.Generator) -> Iterator[tuple]:
    business = torch.tensor([[True, True], [False, True], [True, False]])
    yield torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]]), business
    for tokens, n_ranks, dim in ((6, 3, 4), (10, 4, 2)):
        business = torch.from_numpy(rng.random((tokens, n_ranks)) < 0.6)
        rows = int(business.sum())
        yield torch.from_numpy(rng.standard_normal((rows, dim), dtype=np.float32)), business
    business = torch.tensor([[True, False], [False, False], [True, True]])  # nobody worked on the second token
    yield torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]), business


def _left_lying(returned: Tensor, token: Tensor, tokens: int) -> Tensor:
    """Each row in its token's place, a later one on top of an earlier one."""
    result = torch.zeros(tokens, returned.shape[1])
    result[token] = returned
    return result


def _loads(rng: np.random.Generator) -> Iterator[tuple]:
    yield [30, 9, 1], 5
    yield [40, 38, 7, 6], 6
    yield [30, 16], 4
    yield [12, 5, 1], 3
    yield [1, 2, 100], 7
    yield [8, 4, 4, 0], 6  # at a tie the first one
    for n_experts, extra in ((8, 4), (16, 8), (6, 12)):
        yield rng.pareto(1.0, n_experts).round(2).tolist(), n_experts + extra


def _for_whom(load: Sequence[int], n_slots: int, need: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[int]:
    """The same loop with another idea of who needs the next copy."""
    loads, copies = np.array(load), np.ones(len(load), dtype=int)
    for _ in range(n_slots - len(load)):
        copies[np.argmax(need(loads, copies))] += 1
    return copies.tolist()


def _hottest_once(load: Sequence[int], n_slots: int) -> list[int]:
    """One copy more for each of the hottest, round and round."""
    order = np.argsort(-np.array(load), kind="stable")
    further = np.arange(n_slots - len(load)) % len(load)
    return (1 + np.bincount(order[further], minlength=len(load))).tolist()


EXERCISES = (
    Exercise(
        name="come_home",
        task="Find the two bugs: return for each token the sum of its answers. business[t, r] says whether token t "
        "was sent to process r. `returned` has a row for each such pair, process by process as they came back: first "
        "the answers of process 0 in the order of their tokens, then those of process 1, and so on.",
        reference=come_home,
        inputs=_answers,
        mistakes={
            "The rows lie process by process, you read them token by token, and a second answer wipes out the first.": (
                lambda returned, business: _left_lying(returned, torch.where(business)[0], len(business))
            ),
            "A token's second answer wipes out its first; add them up (index_add).": (
                lambda returned, business: _left_lying(returned, torch.where(business.T)[1], len(business))
            ),
            "The rows lie process by process; torch.where(business) reads token by token. Transpose it first.": (
                lambda returned, business: torch.zeros(len(business), returned.shape[1]).index_add(
                    0, torch.where(business)[0], returned
                )
            ),
            "A token that was sent nowhere is missing; its row is 0.": lambda returned, business: come_home(
                returned, business
            )[business.any(dim=1)],
            "You take the mean of the answers; their weights were put on where the experts live, so add them up.": (
                lambda returned, business: (
                    come_home(returned, business) / business.sum(dim=1, keepdim=True).clamp(min=1)
                )
            ),
        },
        success="The first bug mixes up tokens without any error, on more than one process only: test with two.",
        difficulty=2,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.parallel.experts.SpreadExperts",),
    ),
    Exercise(
        name="replicas",
        task="Return how many copies each expert gets, as a list of `n_slots` in all: one each, and every further slot "
        "to the expert whose copies carry the most at that moment. An expert's load is shared out evenly among its "
        "copies. At a tie the first one gets it.",
        reference=replicas,
        inputs=_loads,
        mistakes={
            "The hottest expert gets every further slot; divide its load by the copies that it has already.": (
                lambda load, n_slots: _for_whom(load, n_slots, lambda loads, copies: loads)
            ),
            "You divide by the copies there would be after this one; who carries most now needs it most.": (
                lambda load, n_slots: _for_whom(load, n_slots, lambda loads, copies: loads / (copies + 1))
            ),
            "You ask who gains most by a further copy; the layer waits for the one that carries most.": (
                lambda load, n_slots: _for_whom(load, n_slots, lambda loads, copies: loads / (copies * (copies + 1)))
            ),
            "Each of the hottest gets one in turn; a very hot one may need several before the next gets its first.": (
                _hottest_once
            ),
            "These are the further copies alone; every expert has one to begin with.": lambda load, n_slots: (
                [copies - 1 for copies in replicas(load, n_slots)]
            ),
            "You hand out n_slots further copies; each expert already takes one of the slots.": lambda load, n_slots: (
                replicas(load, n_slots + len(load))
            ),
        },
        success="The same greedy loop decides in large services, from loads that were counted minutes ago.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.parallel.placement.replicate",),
    ),
)
