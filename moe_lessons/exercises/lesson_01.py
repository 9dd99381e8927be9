"""Lesson 01: what a token is, and the two steps of byte-pair encoding."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from moe_lessons.exercises.exercise import Exercise


def bytes_per_token(text: str, tokens: list[int]) -> float:
    """How many UTF-8 bytes of the text one token carries on average."""
    return len(text.encode("utf-8")) / len(tokens)


def tokens_per_word(text: str, tokens: list[int]) -> float:
    """How many tokens one word takes on average; words are what white space separates."""
    return len(tokens) / len(text.split())


def most_frequent_pair(ids: list[int]) -> tuple[int, int]:
    """The pair of neighbors that occurs most often; of equally frequent ones, the one seen first."""
    counts = Counter(pairwise(ids))
    return max(counts, key=counts.get)  # a Counter keeps the order of first sight, and max takes the first


def merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Replace every occurrence of the pair, from left to right, by the new id."""
    merged, at = [], 0
    while at < len(ids):
        found = tuple(ids[at : at + 2]) == tuple(pair)
        merged.append(new_id if found else ids[at])
        at += 2 if found else 1
    return merged


def _texts(rng: np.random.Generator) -> Iterator[tuple]:
    yield "Käse", [75, 301, 290]
    yield "the  cat\nsat on the mat", [12, 7, 300, 41, 8, 12, 99]
    yield "日本 €5 🙂", [1, 2, 3, 4]
    yield "  two words ", [5, 6, 7, 8, 9]


def _sequences(rng: np.random.Generator) -> Iterator[tuple]:
    yield ([1, 2, 3, 1, 2],)
    yield ([2, 1, 2, 1, 2],)
    yield ([1, 2, 1, 2, 1],)
    yield ([0, 5, 5, 5, 0, 1, 0, 2],)
    yield ([9, 8, 7, 6],)
    yield ([4, 3, 9, 3, 9, 4, 3, 4],)
    for length in (30, 60):
        yield ([int(i) for i in rng.integers(0, 4, length)],)


def _merges(rng: np.random.Generator) -> Iterator[tuple]:
    yield [1, 2, 3, 1, 2], (1, 2), 256
    yield [7, 7, 7, 7, 7], (7, 7), 256
    yield [2, 1, 2, 1], (1, 2), 9
    yield [3, 4, 5], (1, 2), 256
    yield [], (1, 2), 256
    for length in (30, 60):
        yield [int(i) for i in rng.integers(0, 3, length)], (0, 1), 256


def _merge_overlapping(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    merged, inside = [], False
    for at, token in enumerate(ids):
        if tuple(ids[at : at + 2]) == pair:
            merged.append(new_id)
            inside = True
        elif not inside:
            merged.append(token)
        else:
            inside = False
    return merged


def _merge_keeping_second(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    return [new_id if tuple(ids[at : at + 2]) == pair else token for at, token in enumerate(ids)]


def _merge_once(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    for at in range(len(ids) - 1):
        if tuple(ids[at : at + 2]) == pair:
            return [*ids[:at], new_id, *ids[at + 2 :]]
    return list(ids)


def _merge_either_order(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    merged, at = [], 0
    while at < len(ids):
        found = sorted(ids[at : at + 2]) == sorted(pair)
        merged.append(new_id if found else ids[at])
        at += 2 if found else 1
    return merged


def _merge_losing_last(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    merged, at = [], 0
    while at < len(ids) - 1:
        found = tuple(ids[at : at + 2]) == pair
        merged.append(new_id if found else ids[at])
        at += 2 if found else 1
    return merged


def _most_frequent_step_two(ids: list[int]) -> tuple[int, int]:
    counts = Counter(zip(ids[::2], ids[1::2], strict=False))
    return max(counts, key=counts.get)


def _most_frequent_unordered(ids: list[int]) -> tuple[int, int]:
    counts = Counter(tuple(sorted(pair)) for pair in pairwise(ids))
    return max(counts, key=counts.get)


def _most_frequent_last_tie(ids: list[int]) -> tuple[int, int]:
    counts = Counter(pairwise(ids))
    return max(reversed(counts), key=counts.get)


def _most_frequent_largest_tie(ids: list[int]) -> tuple[int, int]:
    counts = Counter(pairwise(ids))
    return max(counts, key=lambda pair: (counts[pair], pair))


def _most_frequent_ids(ids: list[int]) -> tuple[int, int]:
    (first, _), (second, _) = Counter(ids).most_common(2)
    return first, second


EXERCISES = (
    Exercise(
        name="bytes_per_token",
        task="Return how many bytes of the text one token carries on average. "
        "The text's bytes are those of its UTF-8 encoding.",
        reference=bytes_per_token,
        inputs=_texts,
        mistakes={
            "You count characters, but ä takes 2 bytes in UTF-8 and 🙂 takes 4; encode the text first.": (
                lambda text, tokens: len(text) / len(tokens)
            ),
            "That is tokens per byte; turn the fraction over.": lambda text, tokens: (
                len(tokens) / len(text.encode("utf-8"))
            ),
            "You count words; count the bytes of the encoded text.": lambda text, tokens: (
                len(text.split()) / len(tokens)
            ),
            "That rounds down; divide with / and keep the fraction.": lambda text, tokens: (
                len(text.encode("utf-8")) // len(tokens)
            ),
            "You leave the white space out, but spaces and line ends are bytes that tokens must carry.": (
                lambda text, tokens: len("".join(text.split()).encode("utf-8")) / len(tokens)
            ),
        },
        success="Bytes are a yardstick that no tokenizer can bend, so they compare languages and vocabularies fairly.",
        difficulty=1,
        minutes=4,
    ),
    Exercise(
        name="tokens_per_word",
        task="Return how many tokens one word takes on average. "
        "A word is what white space separates, however much of it there is.",
        reference=tokens_per_word,
        inputs=_texts,
        mistakes={
            'split(" ") counts empty words between two spaces and misses line ends; use split().': (
                lambda text, tokens: len(tokens) / len(text.split(" "))
            ),
            "That is words per token; turn the fraction over.": lambda text, tokens: len(text.split()) / len(tokens),
            "You count characters, not words.": lambda text, tokens: len(tokens) / len(text),
        },
        success="Now you can say for each kind of text how far 'a token is about a word' is true.",
        difficulty=1,
        minutes=4,
    ),
    Exercise(
        name="most_frequent_pair",
        task="Return the pair of neighboring ids that occurs most often. "
        "Count at every position, and of equally frequent pairs return the one that is seen first.",
        reference=most_frequent_pair,
        inputs=_sequences,
        mistakes={
            "You look at positions 0-1, 2-3, 4-5; a pair may also start at an odd position.": _most_frequent_step_two,
            "(2, 1) and (1, 2) are different pairs: the order of neighbors matters.": _most_frequent_unordered,
            "Of equally frequent pairs you return the one seen last; return the one seen first.": (
                _most_frequent_last_tie
            ),
            "Of equally frequent pairs you return the largest; return the one seen first.": _most_frequent_largest_tie,
            "You return the two most frequent ids; they need not stand next to each other.": _most_frequent_ids,
        },
        success="This is the whole of what byte-pair encoding learns: the most frequent pair becomes the next token.",
        difficulty=2,
        minutes=8,
    ),
    Exercise(
        name="merge",
        task="Return the ids with every occurrence of the pair replaced by new_id. "
        "Go from left to right; an id that was merged cannot be part of the next pair.",
        reference=merge,
        inputs=_merges,
        mistakes={
            "Pairs may not overlap: once an id is merged, go on after it, so 7 7 7 holds one pair (7, 7), not two.": (
                _merge_overlapping
            ),
            "The second id of the pair is still there; skip two ids after a merge.": _merge_keeping_second,
            "Only the first occurrence is replaced; go on to the end.": _merge_once,
            "The order matters: the pair (1, 2) is not (2, 1).": _merge_either_order,
            "An id at the end is lost when no pair ends there; let the loop reach the last id.": _merge_losing_last,
        },
        success="Count, merge, repeat: that is how the course's tokenizer was made.",
        difficulty=2,
        minutes=10,
    ),
)
