"""The exercises of "Living with little memory": who makes room, and what a list that never changes is worth."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.offload.slots import Slots
from moe_lessons.offload.slots import covered as covered_in_layers


def lru_loads(requests: list[int], slots: int) -> int:
    """How many experts are fetched for tokens that ask for one expert each, where LRU decides who makes room."""
    shelf = Slots(slots)
    return sum(len(shelf.ask([expert])) for expert in requests)


def covered(experts: Int[np.ndarray, "tokens top_k"], other: Int[np.ndarray, "more_tokens top_k"], n: int) -> float:
    """The share of one text's choices that are among the n experts most used on another text."""
    return covered_in_layers(experts[None], other[None], n)


def _lines(rng: np.random.Generator) -> Iterator[tuple]:
    yield [0, 0, 1, 2, 0, 1], 2
    yield [0, 1, 0, 2, 0, 3, 0, 1], 2
    for slots in (1, 2, 3, 4):
        favor = np.array([0.4, 0.2, 0.15, 0.1, 0.1, 0.05])
        yield rng.choice(6, size=30, p=favor).tolist(), slots
    yield [3, 1, 2], 5  # more slots than are needed
    yield [], 2


def _texts(rng: np.random.Generator) -> Iterator[tuple]:
    yield np.array([[0, 1], [2, 3], [3, 1]]), np.array([[3, 1], [1, 2], [3, 1], [0, 3]]), 2
    for n_experts, top_k, n in ((6, 2, 3), (8, 2, 4), (12, 3, 5)):
        favor = np.zeros(n_experts)
        while len(set(np.sort(favor)[-n - 1 : len(favor) - n + 1])) < 2:  # nobody has to say who wins a tie for a place
            drawn = rng.gumbel(size=n_experts)
            both = [
                np.argsort(-(drawn * keep + rng.gumbel(size=(40, n_experts))), axis=1)[:, :top_k] for keep in (1, 2)
            ]
            favor = np.bincount(both[1].ravel(), minlength=n_experts)
        yield *both, n


def _loads_by(worth: Callable[[int, dict], Any]) -> Callable[[list[int], int], int]:
    """Fetches where the expert worth least goes; its history is when it came, was last used, and how often."""

    def loads(requests: list[int], slots: int) -> int:
        there: dict[int, dict] = {}
        count = 0
        for turn, expert in enumerate(requests):
            if expert not in there:
                count += 1
                if len(there) == slots:
                    del there[min(there, key=lambda held: worth(held, there[held]))]
                there[expert] = {"came": turn, "uses": 0}
            there[expert]["last"] = turn
            there[expert]["uses"] += 1
        return count

    return loads


LITTLE_MEMORY = (
    Exercise(
        name="lru_loads",
        task="Each token asks for one expert, in the order of `requests`. Return how many times an expert has to be "
        "fetched, with `slots` slots that are empty at first; when they are full, the expert that was used longest ago "
        "makes room.",
        reference=lru_loads,
        inputs=_lines,
        mistakes={
            "Who came in first goes, used or not: that is a queue. A use must make an expert recent again.": _loads_by(
                lambda expert, seen: seen["came"]
            ),
            "The expert used last goes; it should be the one used longest ago.": _loads_by(
                lambda expert, seen: -seen["last"]
            ),
            "Who was used least often goes; LRU asks when, not how often.": _loads_by(
                lambda expert, seen: (seen["uses"], seen["last"])
            ),
            "You count how often an expert was there; count how often it was not.": lambda requests, slots: (
                len(requests) - lru_loads(requests, slots)
            ),
            "The first experts, which fill empty slots, are not counted; they must be fetched, too.": (
                lambda requests, slots: lru_loads(requests, slots) - min(slots, len(set(requests)))
            ),
            "You count experts, not fetches; one that went and is asked for again is fetched again.": (
                lambda requests, slots: len(set(requests))
            ),
        },
        success="That is how most programs that run a large model on a small machine decide what stays.",
        difficulty=2,
        minutes=10,
        sources=("moe_lessons.offload.slots.Slots",),
    ),
    Exercise(
        name="covered",
        task="Pin the `n` experts that the text `other` used most, and nothing else. Return the share of the choices "
        "in `experts` that find their expert in memory. No two experts that matter here are used equally often.",
        reference=covered,
        inputs=_texts,
        mistakes={
            "These are the favorites of the text itself, which nobody knows beforehand; take those of `other`.": (
                lambda experts, other, n: covered(experts, experts, n)
            ),
            "You measure on the text that the list was made from; measure on `experts`.": lambda experts, other, n: (
                covered(other, other, n)
            ),
            "These experts are the least used ones; sort the other way round.": lambda experts, other, n: float(
                np.isin(experts, np.argsort(np.bincount(other.ravel(), minlength=64)[: other.max() + 1])[:n]).mean()
            ),
            "You count tokens that find any of their experts; count choices.": lambda experts, other, n: float(
                np.isin(experts, np.argsort(-np.bincount(other.ravel()), kind="stable")[:n]).any(axis=1).mean()
            ),
            "You count tokens that find all of their experts; count choices.": lambda experts, other, n: float(
                np.isin(experts, np.argsort(-np.bincount(other.ravel()), kind="stable")[:n]).all(axis=1).mean()
            ),
            "Only first choices are counted; every choice of a token needs its expert.": lambda experts, other, n: (
                float(np.isin(experts[:, 0], np.argsort(-np.bincount(other.ravel()), kind="stable")[:n]).mean())
            ),
        },
        success="That is the measurement to make before anything is pinned: on a text of the kind that will come.",
        difficulty=1,
        minutes=6,
        sources=("moe_lessons.offload.slots.covered",),
    ),
)
