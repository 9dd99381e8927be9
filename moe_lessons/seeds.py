"""One switch for the seeds of all runs that a lesson trains."""

import os

SWITCH = "MOE_LESSONS_SEED"
_APART = 1000  # so that a moved seed 0 is no neighbor's seed


def run_seed(seed: int) -> int:
    """The seed that first weights and the order of batches are drawn with: `seed` itself, unless the switch is set.

    `make robust` sets MOE_LESSONS_SEED to 1, 2, ... and so trains every model of a lesson anew, in order to see whether
    what the lesson says holds for more than one draw. Raises ValueError where the switch holds no whole number.
    """
    moved = os.environ.get(SWITCH) or "0"
    if not moved.isdecimal():
        raise ValueError(f"{SWITCH} is {moved!r}, but must be a whole number from 0 on; unset it for the course's runs")
    return seed + _APART * int(moved)
