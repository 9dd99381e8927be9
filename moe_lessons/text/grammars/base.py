"""What a grammar is: it writes documents, and it knows exactly how probable each of them is.

A grammar is two implementations held together by a test: `sample` draws choices and adds up their log
probability; `log_prob` takes the finished text apart again and counts the choices it finds there. The mean of
-log_prob is the entropy of the domain: no model, of any size, gets below it.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Document(NamedTuple):
    """One text, the domain it belongs to, and how probable that domain makes it."""

    text: str
    domain: str
    log_prob: float | None  # nats, the choice where to end included; None where nobody knows it (installed text)


class Grammar(Protocol):
    """A seeded domain whose entropy is known."""

    @property
    def name(self) -> str: ...

    def sample(self, rng: random.Random) -> Document: ...

    def log_prob(self, text: str) -> float: ...


class Choices:
    """Draws uniform choices and keeps their joint log probability, in nats.

    Only `rng.randrange` is called, so a test can walk through every choice a grammar has.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.log_prob = 0.0

    def pick(self, options: Sequence[T]) -> T:
        self.log_prob -= math.log(len(options))
        return options[self._rng.randrange(len(options))]

    def integer(self, low: int, high: int) -> int:
        """One of low, low + 1, ..., high."""
        self.log_prob -= math.log(high - low + 1)
        return low + self._rng.randrange(high - low + 1)


def words(text: str, separator: str | None = None) -> tuple[str, ...]:
    """A list written as one string: words between white space, or phrases between separators."""
    return tuple(word.strip() for word in text.split(separator))
