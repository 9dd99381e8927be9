"""The tokenizer in the browser against the one of the course."""

import random
import sys
import unicodedata

from in_node import ask_site

from moe_lessons.text.tokenizer import Tokenizer

# Characters of every kind that the pieces tell apart, and those that two languages take for white space or not.
KINDS = ["aZ", "äßéñ", "а\u0301я", "ع ل", "日本", "क\u094d", "0७", "'\"(=", "🙂👩\u200d🚀", "<|doc|>"]
KINDS += ["  \t", "\r\n", "\x00\x1c\x85\ufeff\u200b\u2028"]


def known(rng: random.Random) -> str:
    """A character anywhere in Unicode, of those that this Python knows: others know newer ones."""
    while True:
        character = chr(rng.randrange(sys.maxunicode + 1))
        if unicodedata.category(character) not in ("Cn", "Cs"):
            return character


def random_text(rng: random.Random) -> str:
    letters = [lambda: rng.choice(rng.choice(KINDS)), lambda: known(rng), lambda: rng.choice("etaoin shrdlu.,:1047")]
    weights = [rng.random() for _ in letters]
    return "".join(rng.choices(letters, weights)[0]() for _ in range(rng.randrange(60)))


def test_two_thousand_random_texts_have_the_same_ids_and_pieces(node):
    rng, tokenizer = random.Random(0), Tokenizer.load()
    texts = [random_text(rng) for _ in range(2000)]
    answers = ask_site(node, "texts", texts)
    for text, answer, ids in zip(texts, answers, tokenizer.encode_many(texts), strict=True):
        assert answer == {"ids": ids, "pieces": tokenizer.pieces(ids), "decoded": text}, text


def test_ids_that_spell_no_text_are_shown_alike(node):
    rng, tokenizer = random.Random(1), Tokenizer.load()
    rows = [[rng.randrange(tokenizer.vocab_size) for _ in range(rng.randrange(20))] for _ in range(300)]
    for row, answer in zip(rows, ask_site(node, "decode", rows), strict=True):
        assert answer == {"pieces": tokenizer.pieces(row), "decoded": tokenizer.decode(row)}


def test_no_two_tokens_look_the_same():
    """So that a trace's pieces tell its ids."""
    tokenizer = Tokenizer.load()
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    assert len(set(pieces)) == tokenizer.vocab_size


def test_a_hundred_thousand_characters_are_cut_as_in_python(node):
    texts = ["a" * 100_000, "\n" * 100_000, "مرحبا " * 20_000, "\x00" * 1000, "🙂" * 1000, " " * 1000]
    for answer, ids in zip(ask_site(node, "texts", texts), Tokenizer.load().encode_many(texts), strict=True):
        assert answer["ids"] == ids


def test_a_lone_surrogate_is_one_sentence(node):
    (answer,) = ask_site(node, "texts", ["🙂a\ud800b"])
    assert answer == {"error": "The text has no UTF-8 form: character 2 is the lone surrogate '\\ud800'; remove it."}
