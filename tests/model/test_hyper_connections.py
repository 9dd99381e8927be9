"""Streams and their weights against sums written out."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shared_kv import MODEL

from moe_lessons import ModelConfig, Transformer
from moe_lessons.concerns import HyperConnectionConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.model.hyper_connections import (
    HyperConnection,
    StreamWeights,
    doubly_stochastic,
    read_streams,
    write_streams,
)

PLAIN = ModelConfig.from_card("course-dense")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 99))
def test_rows_and_columns_of_a_mixing_sum_to_one(streams, seed):
    logits = torch.randn(1, 3, streams, streams, generator=torch.Generator().manual_seed(seed))
    mix = doubly_stochastic(logits.double(), steps=300)
    assert (mix > 0).all()
    assert torch.allclose(mix.sum(-1), torch.ones_like(mix.sum(-1)), atol=1e-3)
    assert torch.allclose(mix.sum(-2), torch.ones_like(mix.sum(-2)), atol=1e-5)


def test_one_step_divides_rows_and_then_columns():
    logits = torch.tensor([[[[0.0, 1.0], [2.0, 0.5]]]])
    rows = logits.exp() / logits.exp().sum(-1, keepdim=True)
    assert torch.allclose(doubly_stochastic(logits, 1), rows / rows.sum(-2, keepdim=True))


def test_streams_are_read_mixed_and_written_as_sums_say():
    torch.manual_seed(0)
    streams, output = torch.randn(1, 2, 3, 5), torch.randn(1, 2, 5)
    weights = StreamWeights(torch.rand(1, 2, 3), torch.rand(1, 2, 3), torch.rand(1, 2, 3, 3))
    read, written = read_streams(streams, weights.read), write_streams(streams, output, weights)
    for t in range(2):
        assert torch.allclose(read[0, t], sum(weights.read[0, t, s] * streams[0, t, s] for s in range(3)), atol=1e-6)
        for s in range(3):
            mixed = sum(weights.mix[0, t, other, s] * streams[0, t, other] for other in range(3))
            assert torch.allclose(written[0, t, s], mixed + weights.write[0, t, s] * output[0, t], atol=1e-6)


@torch.no_grad()
def test_at_first_each_stream_keeps_to_itself():
    connection = HyperConnection(6, HyperConnectionConfig(n_streams=3), 1e-6)
    connection.weight.normal_(std=0.2)
    weights = connection(torch.randn(1, 4, 3, 6))
    assert (weights.mix.diagonal(dim1=-2, dim2=-1) > 0.9).all()
    assert torch.allclose(weights.write, torch.ones(1, 4, 3), atol=0.05)


@torch.no_grad()
def test_any_attention_works_between_streams_and_from_a_cache():
    model = Transformer(replace(PLAIN, hyper_connections=HyperConnectionConfig(n_streams=2)), seed=1)
    tokens = torch.randint(0, 99, (2, 12), generator=torch.Generator().manual_seed(0))
    cache = make_cache(model.config, 2)
    pieces = [model(tokens[:, a:b], cache) for a, b in ((0, 7), (7, 8), (8, 12))]
    assert torch.allclose(torch.cat(pieces, dim=1), model(tokens), atol=1e-4)


@pytest.mark.parametrize("changes", [{"n_streams": 0}, {"sinkhorn_steps": 0}, {"eps": -1.0}])
def test_nonsense_is_refused_in_one_sentence(changes):
    name = next(iter(changes))
    with pytest.raises(ValueError, match=f"{name} is"):
        HyperConnectionConfig(**changes)


def test_models_without_streams_have_none_of_their_modules():
    names = {type(module).__name__ for module in Transformer(PLAIN, device="meta").modules()}
    assert not names & {"ReadingBlock", "HyperConnection", "StreamsNorm", "StreamsEmbedding"}
    assert {"ReadingBlock", "HyperConnection"} <= {
        type(m).__name__ for m in Transformer(MODEL, device="meta").modules()
    }
