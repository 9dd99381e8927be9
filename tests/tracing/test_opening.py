"""Where a view opens: on a word, in a layer where tokens part."""

import math

import numpy as np
import pytest

from moe_lessons.tracing import RoutingTrace
from moe_lessons.tracing.opening import telling_layer, telling_token


def trace_of(choices, pieces=None, **fields) -> RoutingTrace:
    """A trace whose layers send each token to one expert, surely."""
    choices = np.asarray(choices)
    logits = np.full((*choices.shape, 4), -50.0)
    np.put_along_axis(logits, choices[..., None], 50.0, -1)
    pieces = [f" t{i}" for i in range(choices.shape[1])] if pieces is None else pieces
    return RoutingTrace.from_logits(logits, pieces, top_k=1, **fields)


def information(experts) -> float:
    """Of sure choices: the entropy of the load, counted by hand."""
    shares = [list(experts).count(e) / len(experts) for e in set(experts)]
    return -sum(share * math.log(share) for share in shares)


def test_the_layer_in_which_the_load_is_spread_most_is_opened_but_not_the_first():
    layers = [[0, 1, 2, 3], [0, 0, 0, 0], [0, 1, 0, 2], [0, 1, 0, 1]]
    told = [information(experts) for experts in layers]
    assert np.argmax(told) == 0 and 1 + np.argmax(told[1:]) == 2
    assert telling_layer(trace_of(layers)) == 2


def test_a_layer_is_named_by_its_number_and_ties_go_to_the_first_after_it():
    assert telling_layer(trace_of([[0, 1]]).select(layers=[0])) == 0
    assert telling_layer(trace_of([[0, 1], [0, 1], [1, 0]])) == 1
    assert telling_layer(trace_of([[0, 1], [0, 0], [1, 0]]).select(layers=[1, 2])) == 2


@pytest.mark.parametrize(
    ("pieces", "word"),
    [
        ([" the", " rou", "ter", ".", " of"], " rou"),
        (["a", " ", "bb", "."], "bb"),
        (["...", " ", "7", "\n"], "7"),
        ([" ", "\n"], "\n"),
        (["東京", "。"], "東京"),
        (["it", "’s", " on"], "it"),
        (["W", "here", " tok", "en"], " tok"),
    ],
)
def test_a_view_opens_on_the_first_token_of_the_longest_word(pieces, word):
    trace = trace_of([[0] * len(pieces)], pieces)
    assert pieces[telling_token(trace, 0)] == word


def test_among_words_as_long_the_one_that_goes_where_nobody_goes_is_opened():
    trace = trace_of([[0, 0, 3, 0]], ["one", " two", " six", " ten"])
    assert trace.pieces[telling_token(trace, 0)] == " six"


def test_words_end_where_a_text_ends():
    trace = trace_of([[0, 0, 0]], ["ab", "cd", "efg"])
    trace.sequence = np.array([0, 1, 1])
    assert telling_token(trace, 0) == 1
    trace.sequence = np.array([0, 0, 1])
    assert telling_token(trace, 0) == 0
