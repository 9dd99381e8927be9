"""Routes through many small experts: the shape of OLMoE's routers, and what the shipped record says of itself."""

import numpy as np
import pytest
from safetensors import safe_open

from moe_lessons import ModelConfig, Transformer
from moe_lessons.resources import data_path
from moe_lessons.studies.fine_routes import WINDOW, fine_model, record, routes


def test_the_routers_have_olmoes_shape():
    ours, theirs = fine_model(1024).moe, ModelConfig.from_card("olmoe-1b-7b").moe
    assert (ours.n_routed_experts, ours.top_k, ours.normalize) == (
        theirs.n_routed_experts,
        theirs.top_k,
        theirs.normalize,
    )


def test_routes_are_those_that_the_model_takes(corpus):
    model = Transformer(fine_model(1024))
    found = record(model, corpus, 2 * WINDOW + 7, WINDOW)
    assert found["valid.mixed"].shape == found["train.mixed"].shape == (6, 2 * WINDOW, 8)
    ids = corpus.valid.ids[WINDOW : 2 * WINDOW]
    assert (routes(model, ids) == found["valid.mixed"][:, WINDOW:]).mean() > 0.999  # a tie may go another way
    json = corpus.train.ids[corpus.train.labels == 1][:WINDOW]
    assert found["train.each"].shape == (7, 6, WINDOW, 8)
    assert (routes(model, json) == found["train.each"][1]).mean() > 0.999


@pytest.mark.parametrize("side", ["valid", "train"])
def test_the_shipped_record_has_the_shape_it_claims(side):
    with safe_open(data_path("traces/fine-routes.safetensors"), framework="np") as file:
        mixed, each, header = file.get_tensor(f"{side}.mixed"), file.get_tensor(f"{side}.each"), file.metadata()
    assert mixed.shape == (6, 4096, 8) and each.shape == (7, 6, 512, 8)
    assert 0 < int(header["stopped_after"]) <= int(header["command"].split()[-1])
    assert 0 < float(header["nats_per_token"]) < 4, "it has learned something: an untrained model has 6.9"
    assert len(header["domains"].split(",")) == 7
    assert all(len(set(row)) == 8 for row in mixed.reshape(-1, 8)[::97].tolist())
    load = np.stack([np.bincount(layer.ravel(), minlength=64) for layer in mixed])
    assert (load > 0).mean() > 0.9, "the balance loss leaves few experts without work"
