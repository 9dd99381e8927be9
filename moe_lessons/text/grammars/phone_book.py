"""A phone book of fixed facts: knowledge that only memory helps with.

The book is drawn once from its own seed and never changes. Which people a document lists is free; their numbers are
not. A model that has learned the book by heart pays for the names alone, and that is the floor; what it still pays for
digits says how many bits it has stored.
"""

import math
import random
import re
from dataclasses import dataclass
from functools import cached_property

from moe_lessons.text.grammars.base import Choices, Document, words

FIRST_NAMES = words(
    "Ada Alma Anton Arno Berta Bruno Carla Clara David Dora Edgar Edith Elias Ella Emil Erika Ernst Eva Felix Fiona "
    "Frank Frieda Georg Greta Hanna Hugo Ida Ines Ivan Jana Jonas Julia Karl Klara Lars Laura Leo Lina Luis Magda "
    "Maria Martin Mila Moritz Nadja Nils Nora Oskar Otto Paul Paula Pia Ralf Rita Rosa Ruth Samuel Sara Simon Sofia "
    "Tanja Theo Ute Vera"
)
LAST_NAMES = words(
    "Adler Albrecht Arndt Bach Baum Becker Berg Binder Brandt Busch Conrad Decker Diehl Dorn Ebert Engel Ernst Falk "
    "Fischer Frank Frey Geiger Graf Gruber Haas Hahn Hartmann Heller Horn Huber Jansen Jung Kaiser Keller Klein Koch "
    "Kraus Kuhn Lang Lehmann Lenz Lorenz Maier Marx Meyer Moser Neumann Otto Peters Pohl Reich Richter Roth Sauer "
    "Schmidt Schulz Seidel Sommer Stein Vogel Wagner Weber Winter Wolf"
)
_ENTRY = re.compile(r"(\w+ \w+): ([0-9]{6})")


@dataclass(frozen=True, kw_only=True)
class PhoneBook:
    """Documents of `lines` lines such as `Clara Winter: 402917`, people drawn uniformly and with replacement.

    Raises ValueError where there are more people than names.
    """

    n_people: int = 4000
    seed: int = 0
    lines: tuple[int, int] = (10, 16)
    name: str = "phone_book"

    def __post_init__(self) -> None:
        most = len(FIRST_NAMES) * len(LAST_NAMES)
        if not 1 <= self.n_people <= most:
            raise ValueError(
                f"n_people is {self.n_people}, but the book can hold from 1 to {most} people; choose fewer"
            )

    @cached_property
    def entries(self) -> list[tuple[str, str]]:
        """The facts: (name, six digits), each name once."""
        rng = random.Random(f"phone book {self.seed}")
        names = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
        return [(name, f"{rng.randrange(10**6):06d}") for name in rng.sample(names, self.n_people)]

    @cached_property
    def _numbers(self) -> dict[str, str]:
        return dict(self.entries)

    @property
    def bits_per_entry(self) -> float:
        """What knowing one number by heart is worth: six free digits, in bits."""
        return 6 * math.log2(10)

    def sample(self, rng: random.Random) -> Document:
        choices = Choices(rng)
        chosen = [choices.pick(self.entries) for _ in range(choices.integer(*self.lines))]
        text = "".join(f"{name}: {number}\n" for name, number in chosen)
        return Document(text, self.name, choices.log_prob)

    def log_prob(self, text: str) -> float:
        """Nats; -inf where a name is not in the book or its number is another."""
        low, high = self.lines
        lines = text.split("\n")
        if lines.pop() or not low <= len(lines) <= high:
            return -math.inf
        for line in lines:
            match = _ENTRY.fullmatch(line)
            if match is None or self._numbers.get(match[1]) != match[2]:
                return -math.inf
        return -math.log(high - low + 1) - len(lines) * math.log(self.n_people)
