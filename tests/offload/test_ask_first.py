"""Asking what is in memory first: causal, the router's own choice at strength 0, and never a weight of the bias."""

import re

import pytest
import torch
from small import SPARSE, small_model, some_tokens

from moe_lessons.model.cache import make_cache
from moe_lessons.offload import AskFirst, replay
from moe_lessons.tracing import record_routing, steer_routing


def sparse():
    return small_model(moe=SPARSE, n_layers=3).eval()


@torch.no_grad()
def read(model, tokens, strength, slots=3):
    ask = AskFirst(model, slots, strength)
    with steer_routing(model, ask), record_routing(model) as trace:
        logits = model(tokens)
    return logits, ask, trace


def test_without_strength_the_answer_is_the_models_and_the_loads_are_lrus():
    model = sparse()
    tokens = some_tokens(model.config)
    logits, ask, trace = read(model, tokens, 0.0)
    with torch.no_grad():
        assert torch.equal(logits, model(tokens))
    assert ask.changed == 0 and ask.tokens == tokens.numel()
    assert sum(ask.loads.values()) == replay(trace.experts, 4, 3, "lru").loads.sum()


def test_a_strength_above_every_score_never_fetches_once_the_slots_are_full():
    model = sparse()
    _, ask, _ = read(model, some_tokens(model.config, batch=4), 2.0, slots=2)
    assert ask.loads == {0: 2, 1: 2, 2: 2}
    assert ask.changed > 0


def test_stronger_is_not_more_fetches_in_the_first_layer():
    """Later layers see another stream; the first one's scores are the same at every strength."""
    model = sparse()
    tokens = some_tokens(model.config, batch=6, time=20)
    loads = [read(model, tokens, strength)[1].loads[0] for strength in (0.0, 0.1, 2.0)]
    assert loads[0] > loads[1] > loads[2]


@torch.no_grad()
def test_reading_in_one_pass_is_writing_token_by_token():
    model = sparse()
    tokens = some_tokens(model.config, batch=1, time=24)
    whole, ask, trace = read(model, tokens, 0.1)
    step, cache, rows = AskFirst(model, 3, 0.1), make_cache(model.config), []
    with steer_routing(model, step), record_routing(model) as stepped:
        for at in range(24):
            rows.append(model(tokens[:, at : at + 1], cache))
    assert (stepped.experts == trace.experts).all() and step.loads == ask.loads and ask.changed > 0
    torch.testing.assert_close(torch.cat(rows, dim=1), whole)


def test_no_token_sees_a_later_one():
    model = sparse()
    tokens = some_tokens(model.config, batch=1)
    other = tokens.clone()
    other[:, 8:] = (other[:, 8:] + 1) % model.config.vocab_size
    assert (read(model, tokens, 0.1)[0] - read(model, other, 0.1)[0]).abs().amax((0, 2))[8] > 1e-3
    torch.testing.assert_close(read(model, tokens, 0.1)[0][:, :8], read(model, other, 0.1)[0][:, :8])


def test_weights_are_made_of_scores_without_the_bias():
    model = sparse()
    _, _, trace = read(model, some_tokens(model.config), 0.2)
    scores = torch.from_numpy(trace.logits).softmax(dim=-1)
    chosen = scores.gather(-1, torch.from_numpy(trace.experts))
    torch.testing.assert_close(torch.from_numpy(trace.weights), chosen / chosen.sum(-1, keepdim=True))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"strength": -0.1}, "strength is -0.1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"slots": 1}, "slots is 1"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(change, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        AskFirst(sparse(), **({"slots": 3} | change))
