"""Lesson 15: experts on several processes."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise


def come_home(
    returned: Float[Tensor, "rows dim"], business: Bool[Tensor, "tokens ranks"]
) -> Float[Tensor, "tokens dim"]:
    """Each token's sum of what the processes that it had business with sent back."""
    _, token = torch.where(business.T)
    return torch.zeros(len(business), returned.shape[1]).index_add(0, token, returned)


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
)
