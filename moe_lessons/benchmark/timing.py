"""Timing things side by side, so that whatever disturbs the machine disturbs all of them alike."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from moe_lessons.device import give_back_freed_memory


class Timing(NamedTuple):
    """Seconds of one call: half of all calls took at most `median`, the middle half between `low` and `high`."""

    median: float
    low: float
    high: float


def interleaved(functions: Mapping[str, Callable[[], object]], rounds: int = 15, warmup: int = 2) -> dict[str, Timing]:
    """Call every function once a round and return the quartiles of each one's seconds.

    Each round begins with another function, so that none always runs behind the same neighbor, whose data lie in the
    caches. On a GPU the clock waits until the work is done. Raises ValueError for fewer than one round.

    Afterward the memory that the calls have freed goes back to the system.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}, but a median needs at least 1; leave it out for 15")
    if warmup < 0:
        raise ValueError(f"warmup is {warmup}, but must be at least 0; leave it out for 2")
    for _ in range(warmup):
        for function in functions.values():
            function()
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle of one call would be charged to it
    try:
        for turn in range(rounds):
            first = turn % max(len(names), 1)
            for name in names[first:] + names[:first]:
                _wait()
                start = time.perf_counter()
                functions[name]()
                _wait()
                seconds[name].append(time.perf_counter() - start)
            gc.collect(0)
    finally:
        if collecting:
            gc.enable()
        give_back_freed_memory()
    quartiles = {name: np.quantile(taken, (0.5, 0.25, 0.75)).tolist() for name, taken in seconds.items()}
    return {name: Timing(*values) for name, values in quartiles.items()}


def _wait() -> None:
    """Let the GPU finish, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
