"""Bits of the phone book, against each digit's cost looked up one by one and models that know all or nothing."""

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import small_model
from torch import nn

from moe_lessons import Transformer
from moe_lessons.text.grammars import PhoneBook
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.training import phone_book_bits
from moe_lessons.training.evaluate import token_costs

BOOK = PhoneBook(n_people=31, seed=4)
tokenizer = Tokenizer.load()


def small(max_length: int = 256) -> Transformer:
    return small_model(2, vocab_size=1024, n_layers=1, max_length=max_length)


class Oracle(nn.Module):
    """Expects the digits of one book with this probability and spreads the rest over the other digits."""

    def __init__(self, book: PhoneBook, certainty: float) -> None:
        super().__init__()
        self.config = SimpleNamespace(max_length=256, vocab_size=1024)
        self.embedding = nn.Embedding(1, 1)
        self.numbers, self.certainty = dict(book.entries), certainty
        self.digits = [tokenizer.encode(digit)[0] for digit in "0123456789"]

    def forward(self, ids):
        logits = torch.full((*ids.shape, 1024), -1e9)
        for page, row in enumerate(ids.tolist()):
            text = ""
            for place, token in enumerate(row):
                text += tokenizer.decode([token])
                name, mark, number = text.rpartition("\n")[2].partition(": ")
                if mark and len(number) < 6 and name in self.numbers:
                    right = int(self.numbers[name][len(number)])
                    for value, digit in enumerate(self.digits):
                        share = self.certainty if value == right else (1 - self.certainty) / 9
                        logits[page, place, digit] = math.log(max(share, 1e-300))
        return logits


def test_a_model_that_knows_the_book_holds_all_of_it_and_one_that_guesses_digits_holds_nothing():
    most = 31 * 6 * math.log2(10)
    assert phone_book_bits(Oracle(BOOK, 1.0), tokenizer, BOOK) == pytest.approx((most, most))
    assert phone_book_bits(Oracle(BOOK, 0.1), tokenizer, BOOK) == pytest.approx((0, most), abs=1e-3)
    half = 31 * 6 * (math.log2(10) + math.log2(0.5))
    assert phone_book_bits(Oracle(BOOK, 0.5), tokenizer, BOOK).stored == pytest.approx(half)


@pytest.mark.parametrize("people", [1, 12, 13, 31])
def test_it_is_the_full_price_less_the_cost_of_every_digit_looked_up_one_by_one(people):
    model = small()
    entries = random.Random("order of the pages").sample(BOOK.entries, 31)
    bits = 0.0
    for number in range(people):
        first = number // 12 * 12
        page = [entries[at] for at in range(first - 2, number + 1)]
        ids = [tokenizer.document_id, *tokenizer.encode("".join(f"{name}: {digits}\n" for name, digits in page))]
        costs = token_costs(model, np.array(ids))
        bits += costs[-7:-1].sum() / math.log(2)  # the last token is the end of the line
    found = phone_book_bits(model, tokenizer, BOOK, people=people, batch_size=2)
    assert found.stored == pytest.approx(31 * (6 * math.log2(10) - bits / people), rel=1e-4)


def test_a_model_in_training_goes_on_training():
    model = small().train()
    phone_book_bits(model, tokenizer, BOOK, people=3)
    assert model.training


def test_nobody_too_many_people_and_too_short_a_model_are_one_sentence():
    for people in (0, 32):
        with pytest.raises(ValueError, match=f"people is {people}, but the book has 31"):
            phone_book_bits(small(), tokenizer, BOOK, people=people)
    with pytest.raises(ValueError, match="the model reads at most max_length = 64"):
        phone_book_bits(small(64), tokenizer, BOOK)
