"""Lesson 01: bytes and tokens, byte-pair encoding, and the least that a text can cost."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from moe_lessons.exercises.exercise import Exercise


def bytes_per_token(text: str, tokens: list[int]) -> float:
    """How many UTF-8 bytes of the text one token carries on average."""
    return len(text.encode("utf-8")) / len(tokens)


def merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Replace every occurrence of the pair, from left to right, by the new id."""
    merged, at = [], 0
    while at < len(ids):
        found = tuple(ids[at : at + 2]) == tuple(pair)
        merged.append(new_id if found else ids[at])
        at += 2 if found else 1
    return merged


def encode(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
    """Apply learned merges to a new text, in the order in which they were learned; the first one makes id 256."""
    for new_id, pair in enumerate(merges, start=256):
        ids = merge(ids, pair, new_id)
    return ids


def floor(probabilities: list[float]) -> float:
    """The mean surprise of a reader who knows the probabilities: their entropy, in nats."""
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def _texts(rng: np.random.Generator) -> Iterator[tuple]:
    yield "Käse", [75, 301, 290]
    yield "the  cat\nsat on the mat", [12, 7, 300, 41, 8, 12, 99]
    yield "日本 €5 🙂", [1, 2, 3, 4]
    yield "  two words ", [5, 6, 7, 8, 9]


def _merges(rng: np.random.Generator) -> Iterator[tuple]:
    yield [1, 2, 3, 1, 2], (1, 2), 256
    yield [7, 7, 7, 7, 7], (7, 7), 256
    yield [2, 1, 2, 1], (1, 2), 9
    yield [3, 4, 5], (1, 2), 256
    yield [], (1, 2), 256
    yield [11, 2, 1, 2, 21], (1, 2), 9
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


def _merge_as_text(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return [int(token) for token in text.split()]


def _merge_losing_last(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    merged, at = [], 0
    while at < len(ids) - 1:
        found = tuple(ids[at : at + 2]) == pair
        merged.append(new_id if found else ids[at])
        at += 2 if found else 1
    return merged


_ABCABD = [97, 98, 99, 97, 98, 100]


def _encodings(rng: np.random.Generator) -> Iterator[tuple]:
    yield [97, 98, 99, 97], [(97, 98)]
    yield _ABCABD, [(97, 98), (256, 100)]
    yield _ABCABD, [(98, 99), (97, 98), (97, 256)]  # the first merge spoils the second at the left
    yield [120, 121, 97, 98], [(97, 98), (120, 121)]
    yield [97, 98, 98, 97], [(120, 121), (98, 97)]  # the first merge finds nothing and keeps its id
    yield [1, 1, 1, 1, 1], [(1, 1), (256, 256)]
    yield [5, 6], []
    for length in (30, 60):
        ids = [int(i) for i in rng.integers(0, 3, length)]
        yield ids, [(0, 1), (256, 2), (1, 0), (257, 256), (2, 2)]


def _encode_backwards(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
    for n, pair in reversed(list(enumerate(merges))):
        ids = merge(ids, pair, 256 + n)
    return ids


def _encode_leftmost(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
    ids, at = list(ids), 0
    while at < len(ids) - 1:
        pair = (ids[at], ids[at + 1])
        if pair in merges:
            ids[at : at + 2] = [256 + merges.index(pair)]
            at = 0
        else:
            at += 1
    return ids


def _encode_numbering_used(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
    new_id = 256
    for pair in merges:
        merged = merge(ids, pair, new_id)
        new_id += len(merged) < len(ids)
        ids = merged
    return ids


def _encode_first_only(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
    for new_id, pair in enumerate(merges, start=256):
        merged = merge(ids, pair, new_id)
        if len(merged) < len(ids):
            return merged
    return ids


def _encode_from(first: int) -> Callable:
    def encode_from(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
        for new_id, pair in enumerate(merges, start=first):
            ids = merge(ids, pair, new_id)
        return ids

    return encode_from


def _encode_once_each(ids: list[int], merges: list[tuple[int, int]]) -> list[int]:
    for new_id, pair in enumerate(merges, start=256):
        ids = _merge_once(ids, pair, new_id)
    return ids


def _distributions(rng: np.random.Generator) -> Iterator[tuple]:
    yield ([0.5, 0.25, 0.25],)
    yield ([0.9, 0.1],)
    yield ([0.125] * 8,)
    yield ([1.0],)
    yield ([0.7, 0.3, 0.0],)
    for size in (5, 20):
        weights = rng.random(size)
        yield ([float(p) for p in weights / weights.sum()],)


def _possible(probabilities: list[float]) -> list[float]:
    return [p for p in probabilities if p > 0]


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
            "As text, 1 2 is also found inside 11 2 and 1 21; compare ids, not digits.": _merge_as_text,
            "An id at the end is lost when no pair ends there; let the loop reach the last id.": _merge_losing_last,
        },
        success="Count, merge, repeat: that is how the course's tokenizer was made.",
        difficulty=2,
        minutes=10,
    ),
    Exercise(
        name="encode",
        task="Cut a new text, given as ids of its bytes, with the pairs that were learned elsewhere. "
        "Apply them in the order in which they were learned; the first one makes id 256, the second 257, and so on.",
        reference=encode,
        inputs=_encodings,
        mistakes={
            "You apply the merges from last to first; go in the order in which they were learned, as later ones build "
            "on earlier ones.": _encode_backwards,
            "You take whatever pair stands furthest left; go through the merges in the order in which they were "
            "learned, each over the whole text.": _encode_leftmost,
            "A merge that finds nothing in this text keeps its id all the same; number the merges, not the ones you "
            "used.": _encode_numbering_used,
            "You stop after the first merge that finds something; go on with what it made.": _encode_first_only,
            "Each merge is applied at one place only; it holds for the whole text.": _encode_once_each,
            "The first merge makes id 256, since the bytes are ids 0 to 255.": _encode_from(0),
            "The first merge makes id 256, not 257: there is no <|doc|> among these ids.": _encode_from(257),
        },
        success="That is a whole tokenizer: learning is counting and merging, encoding is merging without counting.",
        difficulty=2,
        minutes=8,
    ),
    Exercise(
        name="floor",
        task="Return the mean surprise, in nats, of a reader who knows how probable each possibility is. "
        "The surprise of a possibility is minus the logarithm of its probability; frequent ones count more often.",
        reference=floor,
        inputs=_distributions,
        mistakes={
            "A possibility of probability 0 never comes up: leave it out, since 0 has no logarithm.": (
                lambda probabilities: -sum(p * math.log(p) for p in probabilities)
            ),
            "That is the surprise if all were equally likely; weigh each surprise by its probability.": (
                lambda probabilities: math.log(len(probabilities))
            ),
            "That is the surprise of the likeliest alone; take the mean of all, weighed by their probabilities.": (
                lambda probabilities: -math.log(max(probabilities))
            ),
            "Those are bits; nats take the natural logarithm.": (
                lambda probabilities: -sum(p * math.log2(p) for p in _possible(probabilities))
            ),
            "Weigh each surprise by how often it comes up: multiply by its probability.": (
                lambda probabilities: (
                    -sum(math.log(p) for p in _possible(probabilities)) / len(_possible(probabilities))
                )
            ),
            "You add up the surprises; take their mean, each weighed by its probability.": (
                lambda probabilities: -sum(math.log(p) for p in _possible(probabilities))
            ),
            "The sign is wrong: logarithms of probabilities are negative, surprises are not.": (
                lambda probabilities: sum(p * math.log(p) for p in _possible(probabilities))
            ),
            "That would be right if all possibilities were equally probable; weigh them by their "
            "probabilities.": lambda probabilities: math.log(len(_possible(probabilities))),
        },
        success="No model can stay below this number on average, however large it is; lesson 04 comes near it.",
        difficulty=2,
        minutes=6,
    ),
)
