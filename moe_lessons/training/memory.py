"""How many bits of the phone book a model knows by heart.

A number that nobody told it costs a model six times ln 10 nats, and one that it has stored costs nothing; what is
missing from the full price is what it holds. Bits of knowledge per parameter: Allen-Zhu and Li (arXiv:2404.05405).
"""

import math
import random
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from moe_lessons.model.transformer import Transformer
from moe_lessons.text.grammars import PhoneBook

_BEFORE = 2  # lines of a page that are not counted: they tell the model what it is reading
_COUNTED = 12  # together within the lines that a document of the book has


class StoredBits(NamedTuple):
    """What a model knows of a book of facts, in bits."""

    stored: float  # below 0 where its guesses are worse than blind ones
    maximum: float  # the whole book by heart

    @property
    def share(self) -> float:
        return self.stored / self.maximum


class Tokenizer(Protocol):
    """A tokenizer, as far as this file needs one: digits must be tokens of their own."""

    document_id: int

    def encode_many(self, texts: list[str]) -> list[list[int]]: ...

    def pieces(self, ids: Iterable[int]) -> list[str]: ...


@torch.inference_mode()
def phone_book_bits(
    model: Transformer,
    tokenizer: Tokenizer,
    book: PhoneBook | None = None,
    *,
    people: int | None = None,
    batch_size: int = 32,
) -> StoredBits:
    """People times bits per entry, minus what the model still pays for the digits, each number once.

    The book is read in documents of its own kind, in a fixed random order. With `people`, that many of them are
    asked and the result stands for all. Raises ValueError for none, or more than the book has, and for a model
    that reads too few tokens.
    """
    book = book or PhoneBook()
    asked = book.n_people if people is None else people
    if not 1 <= asked <= book.n_people:
        raise ValueError(f"people is {asked}, but the book has {book.n_people}; ask from 1 to all of them")
    ids, counted = _pages(book, asked, tokenizer)
    if ids.shape[1] - 1 > model.config.max_length:
        raise ValueError(
            f"a page of the book has {ids.shape[1] - 1} tokens, but the model reads at most max_length = "
            f"{model.config.max_length}; this needs a longer model"
        )
    was_training = model.training
    model.eval()
    nats = 0.0
    for batch, wanted in zip(ids.split(batch_size), counted.split(batch_size), strict=True):
        batch, wanted = batch.to(model.embedding.weight.device), wanted[:, 1:].to(model.embedding.weight.device)
        logits = model(batch[:, :-1])[wanted].float()
        nats += F.cross_entropy(logits, batch[:, 1:][wanted], reduction="sum").item()
    model.train(was_training)
    maximum = book.n_people * book.bits_per_entry
    return StoredBits(maximum - nats / math.log(2) / asked * book.n_people, maximum)


def _pages(book: PhoneBook, asked: int, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
    """Token ids [pages, time], and which of them are digits that count."""
    entries = random.Random("order of the pages").sample(book.entries, book.n_people)
    texts = []
    for first in range(0, asked, _COUNTED):
        # What is read before the first person is the end of the book.
        page = [entries[at % len(entries)] for at in range(first - _BEFORE, min(first + _COUNTED, asked))]
        texts.append("".join(f"{name}: {number}\n" for name, number in page))
    rows = [torch.tensor([tokenizer.document_id, *ids]) for ids in tokenizer.encode_many(texts)]
    ids = pad_sequence(rows, batch_first=True, padding_value=tokenizer.document_id)
    of_digits = [token for token, piece in enumerate(tokenizer.pieces(range(int(ids.max()) + 1))) if piece.isdigit()]
    is_digit = torch.isin(ids, torch.tensor(of_digits))
    return ids, is_digit & (is_digit.cumsum(dim=1) > 6 * _BEFORE)
