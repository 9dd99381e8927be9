"""Following the winners of a collapse: places, and the record that lesson 08 reads."""

import json

import numpy as np
import torch

from moe_lessons.config import MoEConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path
from moe_lessons.studies.ablation import small_model
from moe_lessons.studies.collapse import N_EXPERTS, WATCHED, alone, place


def test_a_place_is_where_the_expert_stands_when_all_are_sorted():
    values = np.random.default_rng(0).permutation(16) / 7.0
    order = sorted(range(16), key=lambda expert: -values[expert])
    assert [place(values, expert) for expert in order] == list(range(1, 17))


def test_an_expert_that_returns_nothing_is_as_good_alone_as_a_layer_without_experts():
    model = Transformer(small_model(64, MoEConfig(n_routed_experts=N_EXPERTS, top_k=2, hidden_dim=8))).eval()
    with torch.no_grad():
        model.blocks[1].feed_forward.experts.down[3] = 0
    text = torch.randint(0, 64, (2, 17), generator=torch.Generator().manual_seed(0))
    by_expert = alone(model, 1, text)
    hook = model.blocks[1].feed_forward.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    without = torch.nn.functional.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()).item()
    hook.remove()
    assert abs(by_expert[3] - without) < 1e-5
    assert np.abs(np.delete(by_expert, 3) - without).min() > 1e-5


def test_the_record_holds_every_layer_of_every_seed_with_places_that_exist():
    rows = json.loads(data_path("studies/collapse.json").read_text(encoding="utf-8"))["winners"]
    assert [(row["seed"], row["layer"]) for row in rows] == [(seed, layer) for seed in range(3) for layer in (0, 1)]
    for row in rows:
        assert set(row["place_alone"]) == set(map(str, WATCHED))
        assert all(1 <= at <= N_EXPERTS for at in (row["place_by_first_logit"], *row["place_alone"].values()))
