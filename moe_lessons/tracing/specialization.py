"""What an expert's choice follows: the share of its entropy that a token, a domain or a place explains.

Plug-in mutual information is too high on few samples, the more so the more values a label has, so each share stands
beside what the same labels explain when they are shuffled, and is adjusted for it (Vinh et al., JMLR 11, 2010).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class Share(NamedTuple):
    """A share of the choices' entropy: 0 is nothing, 1 is all of it."""

    raw: float  # as counted
    chance: float  # the mean over shuffled labels, which know nothing
    explained: float  # adjusted: 0 where raw is no better than chance, and all that can be where raw is


def mutual_information(a: Int[np.ndarray, " samples"], b: Int[np.ndarray, " samples"]) -> float:
    """What one label tells about the other, in nats, from their joint counts.

    Raises ValueError for labels of different length, or none at all.

    >>> mutual_information(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    0.0
    """
    a, b = _codes(a, b)
    joint = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)).reshape(a.max() + 1, -1)
    joint = joint / len(a)
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return max(0.0, float((joint[seen] * np.log(joint[seen] / apart[seen])).sum()))


def entropy(a: Int[np.ndarray, " samples"]) -> float:
    """What is not known about a label beforehand, in nats: all that another label could tell."""
    return mutual_information(a, a)


def share_explained(
    experts: Int[np.ndarray, " samples"],
    labels: Int[np.ndarray, " samples"],
    given: Int[np.ndarray, " samples"] | None = None,
    *,
    shuffles: int = 4,
    seed: int = 0,
) -> Share:
    """The share of the experts' entropy that the labels explain, beyond what `given` explains already.

    With `given`, labels are shuffled among samples that agree in it, so that chance knows as much as `given`
    does. Where the experts never differ there is nothing to explain, and all shares are 0. Raises ValueError for
    labels of different length, none at all, or fewer than one shuffle.
    """
    if shuffles < 1:
        raise ValueError(f"shuffles is {shuffles}, but chance is measured with at least 1; 4 is usual")
    experts, labels = _codes(experts, labels)
    _, given = _codes(experts, np.zeros(len(experts), dtype=np.int64) if given is None else given)
    whole = entropy(experts)
    if whole == 0:
        return Share(0.0, 0.0, 0.0)
    known = mutual_information(experts, given)

    def gain(labels: np.ndarray) -> float:
        return (mutual_information(experts, given * (labels.max() + 1) + labels) - known) / whole

    rng = np.random.default_rng(seed)
    raw = gain(labels)
    chance = float(np.mean([gain(_shuffled(labels, given, rng)) for _ in range(shuffles)]))
    most = 1 - known / whole
    room = most - chance
    return Share(raw, chance, most * (raw - chance) / room if room > 1e-12 else 0.0)


def _shuffled(labels: np.ndarray, given: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The labels in a random order within each group of equal `given`."""
    result = np.empty_like(labels)
    result[np.argsort(given, kind="stable")] = labels[np.lexsort((rng.random(len(given)), given))]
    return result


def _codes(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both labels as 0, 1, 2, ..."""
    a, b = np.ravel(a), np.ravel(b)
    if len(a) != len(b) or not len(a):
        raise ValueError(
            f"the labels number {len(a)} and {len(b)}; give one of each for every sample, and at least one"
        )
    return np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
