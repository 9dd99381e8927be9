"""Loss against compute as a power law (arXiv:2001.08361), with what no compute can remove (arXiv:2203.15556)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

UNIT = 1e12  # FLOPs; keeps the numbers of a fit near 1


class PowerLaw(NamedTuple):
    """loss = floor + scale * (compute / UNIT) ** -exponent."""

    floor: float
    scale: float
    exponent: float

    def at(self, compute: Float[np.ndarray, " *points"] | float) -> Float[np.ndarray, " *points"]:
        """The loss that it expects."""
        return self.floor + self.scale * (np.asarray(compute, dtype=float) / UNIT) ** -self.exponent

    def needs(self, loss: float) -> float:
        """The compute that reaches a loss; infinite where none does."""
        return UNIT * ((loss - self.floor) / self.scale) ** (-1 / self.exponent) if loss > self.floor else np.inf


def fit_power_law(
    compute: Float[np.ndarray, " points"], loss: Float[np.ndarray, " points"], floor: float | None = None
) -> PowerLaw:
    """The law with the smallest squared error, in shares of each loss; its floor given or fitted (then 0 or more).

    For a given exponent the law is a straight line, so only the exponent is searched. Raises ValueError for fewer
    points than there are numbers to find.
    """
    compute, loss = np.asarray(compute, dtype=float), np.asarray(loss, dtype=float)
    unknown = 2 if floor is not None else 3
    if len(np.unique(compute)) < unknown:
        raise ValueError(
            f"there are {len(np.unique(compute))} different amounts of compute, but {unknown} numbers to find; "
            "measure more runs"
        )
    exponents = np.geomspace(0.01, 2, 600)
    powers = (compute / UNIT) ** -exponents[:, None]
    weights = loss**-2 / (loss**-2).sum()
    mean, squares = powers @ weights, powers**2 @ weights
    if floor is None:
        scale = (((powers - mean[:, None]) * (loss - loss @ weights)) @ weights) / (squares - mean**2)
        floors = loss @ weights - scale * mean
        scale = np.where(floors < 0, (powers * loss) @ weights / squares, scale)
        floors = np.maximum(floors, 0)
    else:
        scale = (powers * (loss - floor)) @ weights / squares
        floors = np.full(len(exponents), float(floor))
    errors = (floors[:, None] + scale[:, None] * powers - loss) ** 2 @ weights
    best = int(errors.argmin())
    return PowerLaw(float(floors[best]), float(scale[best]), float(exponents[best]))


def frontier(compute: Sequence[float] | np.ndarray, loss: Sequence[float] | np.ndarray) -> Int[np.ndarray, " points"]:
    """Which runs nobody beats for less: in order of compute, those with a loss below all before them."""
    order = np.lexsort((np.asarray(loss), np.asarray(compute)))
    best, kept = np.inf, []
    for run in order:
        if loss[run] < best:
            best = loss[run]
            kept.append(run)
    return np.array(kept, dtype=int)


def resampled_fits(
    compute: Float[np.ndarray, " points"],
    loss: Float[np.ndarray, " points"],
    spread: float,
    n: int = 200,
    seed: int = 0,
    floor: float | None = None,
) -> list[PowerLaw]:
    """Fits to the frontiers of runs whose losses are drawn anew, each with the relative `spread` that seeds show."""
    rng, fits = np.random.default_rng(seed), []
    compute, loss = np.asarray(compute, dtype=float), np.asarray(loss, dtype=float)
    for _ in range(n):
        drawn = loss * np.exp(spread * rng.normal(size=len(loss)))
        best = frontier(compute, drawn)
        if len(best) > 2:
            fits.append(fit_power_law(compute[best], drawn[best], floor))
    return fits


def seed_spread(losses: Sequence[Sequence[float]]) -> float:
    """The relative standard deviation of runs that differ in their seed alone, over all groups with two or more."""
    groups = [np.log(group) for group in losses if len(group) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    return float(np.sqrt(sum(((group - group.mean()) ** 2).sum() for group in groups) / freedom))
