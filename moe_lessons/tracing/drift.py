"""Router drift: how many choices for a fixed text change between two snapshots of a model that learns."""

import numpy as np
from jaxtyping import Bool, Float, Int

NOBODY = -1  # in place of an expert's number: a choice of weight 0, which no expert worked on


def new_choices(
    experts: Int[np.ndarray, "*rows top_k"], before: Int[np.ndarray, "*rows top_k"]
) -> Bool[np.ndarray, "*rows top_k"]:
    """Which of a token's experts were not among its experts before; their order does not matter."""
    known = (experts[..., :, None] == before[..., None, :]).any(axis=-1)
    return ~known & (experts != NOBODY)


def drift(experts: Int[np.ndarray, "snapshots layers tokens top_k"]) -> Float[np.ndarray, "changes layers"]:
    """The share of choices that are new, from each snapshot to the next; 0 where there are none at all."""
    new = new_choices(experts[1:], experts[:-1]).sum(axis=(2, 3))
    return new / np.maximum(1, (experts[1:] != NOBODY).sum(axis=(2, 3)))
