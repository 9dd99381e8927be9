"""Texts of noise with notes in it, and questions at their end: a haystack, its needles, and who asks for them.

A note is one token that holds a name and a number; a question is a token with a name, and its answer is the number.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

NOISE, NAMES, NUMBERS, ASKED = 48, 16, 8, 8
_QUESTIONS = NOISE + NAMES * NUMBERS
_ANSWERS = _QUESTIONS + NAMES
VOCABULARY = _ANSWERS + NUMBERS


class Haystack(NamedTuple):
    """Texts whose last `asked` tokens are questions."""

    tokens: Int[Tensor, "batch time"]
    answers: Int[Tensor, "batch asked"]
    distances: Int[Tensor, "batch asked"]  # tokens from a question back to its note; the first one's, if it has several


def haystack(generator: torch.Generator, batch: int, time: int, notes: int, asked: int) -> Haystack:
    """Noise, in it notes about `notes` different names at any places before the questions, each name once.

    Raises ValueError for more notes than names or places.
    """
    if not 1 <= notes <= min(NAMES, time - asked):
        raise ValueError(f"notes is {notes}, but there are {NAMES} names and {time - asked} places; take fewer")
    tokens = torch.randint(0, NOISE, (batch, time), generator=generator)
    places = torch.rand(batch, time - asked, generator=generator).argsort(dim=1)[:, :notes]
    names = torch.rand(batch, NAMES, generator=generator).argsort(dim=1)[:, :notes]
    numbers = torch.randint(0, NUMBERS, (batch, notes), generator=generator)
    tokens.scatter_(1, places, NOISE + names * NUMBERS + numbers)
    about = torch.randint(0, notes, (batch, asked), generator=generator)
    tokens[:, -asked:] = _QUESTIONS + names.gather(1, about)
    here = torch.arange(time - asked, time)
    return Haystack(tokens, _ANSWERS + numbers.gather(1, about), here - places.gather(1, about))


def vote(generator: torch.Generator, batch: int = 64, time: int = 128, said: int = 5, asked: int = ASKED) -> Haystack:
    """Each of three names has `said` notes, just over half of which agree; the answer is the number that most say."""
    agree, names_told = said // 2 + 1, 3
    tokens = torch.randint(0, NOISE, (batch, time), generator=generator)
    places = torch.rand(batch, time - asked, generator=generator).argsort(dim=1)[:, : said * names_told]
    names = torch.rand(batch, NAMES, generator=generator).argsort(dim=1)[:, :names_told]
    numbers = torch.rand(batch, names_told, NUMBERS, generator=generator).argsort(dim=2)[:, :, :2]  # two that differ
    numbers = torch.cat(
        [numbers[:, :, :1].expand(-1, -1, agree), numbers[:, :, 1:].expand(-1, -1, said - agree)], dim=2
    )
    tokens.scatter_(1, places, (NOISE + names[:, :, None] * NUMBERS + numbers).flatten(1))
    about = torch.randint(0, names_told, (batch, asked), generator=generator)
    tokens[:, -asked:] = _QUESTIONS + names.gather(1, about)
    first = places[:, ::said].gather(1, about)
    return Haystack(tokens, _ANSWERS + numbers[:, :, 0].gather(1, about), torch.arange(time - asked, time) - first)


def words(tokens: Int[Tensor, " time"]) -> list[str]:
    """Tokens as a reader would write them: noise is a dot, a note `C=4`, a question `C?`, an answer `4`."""
    told = []
    for token in tokens.tolist():
        if token < NOISE:
            told.append("·")
        elif token < _QUESTIONS:
            name, number = divmod(token - NOISE, NUMBERS)
            told.append(f"{chr(65 + name)}={number}")
        else:
            told.append(f"{chr(65 + token - _QUESTIONS)}?" if token < _ANSWERS else str(token - _ANSWERS))
    return told
