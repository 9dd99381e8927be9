"""How fast one learner may send: a bucket of requests that fills again."""

import time
from collections.abc import Callable


class Pace:
    """For each learner a burst of requests, then a few a second."""

    def __init__(self, burst: float = 30, a_second: float = 3, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._a_second, self._clock = burst, a_second, clock
        self._left: dict[str, tuple[float, float]] = {}  # learner -> what was left, and when

    def allows(self, who: str) -> bool:
        """Whether this request may pass; it is counted if so."""
        now = self._clock()
        left, at = self._left.get(who, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._a_second)
        self._left[who] = (left - 1 if left >= 1 else left), now
        return left >= 1
