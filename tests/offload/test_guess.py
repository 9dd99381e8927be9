"""Guesses at the next layer's experts: exact where they must be, and counted by an obvious loop."""

import numpy as np
import pytest
import torch
from small import SPARSE, small_model, some_tokens

from moe_lessons.offload import frequency_guesses, guessed, next_layer_guesses, recency_guesses
from moe_lessons.tracing import record_routing


def test_a_layer_that_adds_nothing_is_seen_through():
    """Where attention and experts write nothing into the stream, the guess is the choice."""
    model = small_model(moe=SPARSE, n_layers=3).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.attention.output.weight.zero_()
            block.feed_forward.experts.down.zero_()
    for early in (True, False):
        guesses = next_layer_guesses(model, some_tokens(model.config), early=early)
        assert guesses.layers == (1, 2)
        assert (guesses.order[..., :2] == guesses.experts).all()
        assert guessed(guesses.order, guesses.experts, 2) == 1.0


def test_the_late_guess_misses_only_what_the_next_attention_adds():
    model = small_model(moe=SPARSE, n_layers=3).eval()
    with torch.no_grad():
        for block in model.blocks:
            block.attention.output.weight.zero_()
    guesses = next_layer_guesses(model, some_tokens(model.config), early=False)
    assert (guesses.order[..., :2] == guesses.experts).all()
    early = next_layer_guesses(model, some_tokens(model.config))
    assert guessed(early.order, early.experts, 2) < 1.0


def test_guessing_leaves_the_model_and_its_choices_as_they_are():
    model = small_model(moe=SPARSE).eval()
    tokens = some_tokens(model.config)
    with torch.no_grad(), record_routing(model) as trace:
        before = model(tokens)
    guesses = next_layer_guesses(model, tokens)
    assert (guesses.experts == trace.experts[1:]).all()
    with torch.no_grad():
        assert torch.equal(model(tokens), before)


def test_recency_is_the_order_of_last_use():
    order = recency_guesses(np.array([[[2, 0], [1, 2], [3, 1]]]), 4)
    assert order[0].tolist() == [[0, 1, 2, 3], [2, 0, 1, 3], [1, 2, 0, 3]]


def test_frequency_is_the_same_for_every_token():
    order = frequency_guesses(np.array([[[2, 0], [2, 3]]]), 4, tokens=2)
    assert order[0].tolist() == [[2, 0, 3, 1]] * 2


def test_shares_are_counted_as_a_loop_counts_them():
    rng = np.random.default_rng(0)
    order = np.stack([[rng.permutation(6) for _ in range(5)] for _ in range(2)])
    experts = np.stack([[rng.permutation(6)[:3] for _ in range(5)] for _ in range(2)])
    for m in range(1, 7):
        found = [
            expert in order[layer, token, :m]
            for layer in range(2) for token in range(5) for expert in experts[layer, token]
        ]  # fmt: skip
        assert guessed(order, experts, m) == pytest.approx(np.mean(found))
    with pytest.raises(ValueError, match="m is 0"):
        guessed(order, experts, 0)


def test_a_model_without_a_next_router_is_refused():
    with pytest.raises(ValueError, match="1 layers with a router"):
        next_layer_guesses(small_model(moe=SPARSE, n_layers=1), torch.zeros(1, 3, dtype=torch.long))
