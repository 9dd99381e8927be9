"""Several arms from several seeds: equal conditions, one loss for each, and a record that says what it was."""

import json

import pytest
import torch

from moe_lessons import Transformer
from moe_lessons.accounting import count_parameters, forward_flops
from moe_lessons.concerns import as_plain
from moe_lessons.config import TrainConfig
from moe_lessons.resources import data_path
from moe_lessons.studies.ablation import GRANULARITY, ablate, small_model
from moe_lessons.training.held_out import first_documents, held_out, held_out_loss


def test_the_first_three_arms_do_the_same_work_and_differ_by_their_routers_rows():
    configs = [small_model(1024, moe) for moe in list(GRANULARITY.values())[:3]]
    active, flops = ([measure(c) for c in configs] for measure in (lambda c: count_parameters(c).active, _flops))
    assert max(active) < 1.02 * min(active) and max(flops) < 1.02 * min(flops)
    router_rows = 2 * 16 * 65  # two layers, sixteen rows more, each with its bias
    assert active[1] - active[0] == router_rows


def _flops(config) -> float:
    return forward_flops(config, 1, 128) / 128


def test_each_seed_gives_each_arm_one_loss_and_arms_share_the_seeds_text(corpus):
    arms = {"sparse": GRANULARITY["32 choose 4"], "the same": GRANULARITY["32 choose 4"], "dense": None}
    config = TrainConfig(steps=1, batch_size=1, seq_len=16)
    losses = ablate(arms, corpus, config, seeds=[0, 1])
    assert {name: len(values) for name, values in losses.items()} == {"sparse": 2, "the same": 2, "dense": 2}
    assert losses["sparse"] == losses["the same"] != losses["dense"]
    assert len(set(losses["sparse"])) == 2


def test_held_out_loss_is_the_mean_over_all_tokens(corpus):
    text = held_out(corpus, windows=70, width=9)
    model = Transformer(small_model(corpus.tokenizer.vocab_size, None)).eval()
    with torch.no_grad():
        nats = -model(text[:, :-1]).log_softmax(dim=-1).gather(2, text[:, 1:, None])
    assert held_out_loss(model, text) == pytest.approx(nats.mean().item(), rel=1e-4)
    few = first_documents(corpus.valid, 3)
    assert len(few.starts) == 4 and len(few.ids) == few.starts[-1] == len(few.labels)


@pytest.mark.parametrize(("name", "steps", "seeds"), [("granularity", 300, 4), ("granularity-long", 1200, 2)])
def test_the_shipped_studies_are_of_the_arms_that_stand_in_the_package(name, steps, seeds):
    study = json.loads(data_path(f"studies/{name}.json").read_text(encoding="utf-8"))
    assert study["command"] == f"python -m moe_lessons.studies.ablation --steps {steps} --seeds {seeds}"
    assert study["arms"] == {name: as_plain(moe) for name, moe in GRANULARITY.items()}
    assert {name: len(values) for name, values in study["losses"].items()} == dict.fromkeys(GRANULARITY, seeds)
    assert study["seeds"] == list(range(seeds)) and study["train"]["steps"] == steps
