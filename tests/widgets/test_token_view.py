"""TokenView: tokens, bytes and counts, what it refuses, and chips that stay on the page."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_samples import by_words

from moe_lessons.widgets import TokenView
from moe_lessons.widgets.token_view import MOST_CHARACTERS, piece_bytes
from moe_lessons.widgets.token_view.picture import wrap


def test_tokens_come_with_ids_bytes_and_counts():
    view = TokenView(by_words, "wie schön")
    assert view.answer["ids"] == [3, 6]
    assert view.answer["bytes"] == ["77 69 65", "20 73 63 68 c3 b6 6e"]
    assert (view.answer["n_bytes"], view.answer["n_words"]) == (10, 2)
    view.text = "a b c"
    assert view.answer["text"] == "a b c"
    assert len(view.answer["ids"]) == 3


def test_bad_text_gives_one_sentence_and_the_next_text_works():
    view = TokenView(by_words, "")
    assert view.message == "the text is empty; type something to see its tokens"
    for text, words in (("\ud83d", "lone surrogate"), ("x" * (MOST_CHARACTERS + 1), "20,000 are shown")):
        view.text = text
        assert words in view.message
        assert "ids" not in view.answer
        view.figure()
    view.text = "good"
    assert view.message == ""
    assert view.answer["pieces"] == ["good"]


def test_an_error_of_the_tokenizer_is_shown_not_lost():
    def broken(text):
        raise RuntimeError("the tokenizer is broken")

    assert TokenView(broken, "a").message == "the tokenizer is broken"


def test_bytes_per_token_by_domain_are_those_of_the_whole_sample():
    view = TokenView(by_words, "a", {"long": "ab " * MOST_CHARACTERS})
    assert view.domains[0]["bytes_per_token"] == pytest.approx(3 * MOST_CHARACTERS / (MOST_CHARACTERS + 1))
    assert len(view.domains[0]["text"]) == MOST_CHARACTERS
    with pytest.raises(ValueError, match="domain 'none' has no tokens"):
        TokenView(by_words, "a", {"none": ""})


def test_another_tokenizer_cuts_the_same_text_and_samples_anew():
    view = TokenView(by_words, "ab cd", {"short": "ab cd ef"})
    view.use(lambda text: (list(range(len(text))), list(text)))
    assert len(view.answer["ids"]) == 5
    assert view.domains == [{"name": "short", "text": "ab cd ef", "bytes_per_token": 1.0}]
    view.text = "xyz"
    assert len(view.answer["ids"]) == 3


@given(st.text(), st.lists(st.integers(0, 40)))
def test_piece_bytes_join_to_the_text_however_it_was_cut(text, cuts):
    encoded = text.encode("utf-8")
    edges = [0, *sorted(cut for cut in cuts if cut < len(encoded)), len(encoded)]
    parts = [encoded[a:b] for a, b in itertools.pairwise(edges)]
    found = piece_bytes([part.decode("utf-8", "backslashreplace") for part in parts], encoded)
    assert b"".join(found) == encoded


@given(st.lists(st.text("ab ↵", min_size=1, max_size=30), max_size=80))
def test_wrapped_chips_stay_on_the_page_in_order(pieces):
    lines = wrap(pieces, columns=20, most=5)
    shown = [chip for line in lines for chip in line]
    assert [index for index, _, _ in shown if index >= 0] == list(range(sum(index >= 0 for index, _, _ in shown)))
    assert all(column + len(text) <= 20 or text == "…" for _, column, text in shown)
    assert len(lines) <= 5
