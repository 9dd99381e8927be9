"""The study of fine-tuned parts: what is trained changes, and nothing else does."""

import json
from dataclasses import replace

import pytest
import torch
from small import small_model
from tiny_run import corpus

from moe_lessons.config import MoEConfig
from moe_lessons.resources import data_path
from moe_lessons.studies import tuned
from moe_lessons.training import train

LOADS = torch.tensor([[5, 1, 9, 2, 8, 3], [1, 2, 3, 4, 5, 6]])


def test_most_and_least_used_experts_are_chosen_by_their_loads_and_random_ones_by_the_seed():
    most, least = (tuned.chosen(f"{word} used experts", LOADS, 0) for word in ("most", "least"))
    assert most.nonzero()[:, 1].tolist() == [0, 2, 4, 5, 2, 3, 4, 5]
    assert least.nonzero()[:, 1].tolist() == [0, 1, 3, 5, 0, 1, 2, 3]
    draws = [tuned.chosen("random experts", LOADS, seed) for seed in range(5)]
    assert all((draw.sum(dim=1) == tuned.CHOSEN).all() for draw in draws)
    assert len({str(draw.tolist()) for draw in draws}) > 1


@pytest.mark.parametrize("arm", tuned.ARMS)
def test_a_training_changes_the_chosen_part_alone_and_counts_it(arm):
    moe = MoEConfig(n_routed_experts=6, top_k=2, hidden_dim=8, expert_bias=True)
    model = small_model(0, vocab_size=257, moe=moe)
    layers = sum(name.endswith("router.weight") for name, _ in model.named_parameters())
    experts = tuned.chosen(arm, LOADS[:1].repeat(layers, 1), 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trained = tuned.free(model, arm, experts)
    train(model, corpus(), replace(tuned.settings(0.01, 8, 0), seq_len=16), progress=False)
    changed = {name: tensor != before[name] for name, tensor in model.state_dict().items()}
    inside = {"everything": "", "routers": ".router.weight"}.get(arm, ".experts.")
    assert all(where.any() == (inside in name and not name.endswith("expert_bias")) for name, where in changed.items())
    tied = sum(p.numel() for name, p in model.state_dict().items() if inside in name and "expert_bias" not in name)
    if arm == "everything":
        assert trained == sum(p.numel() for p in model.parameters())
    elif arm in ("routers", "all experts"):
        assert trained == tied
    else:
        assert trained == tied * tuned.CHOSEN // 6
        stacks = [where.flatten(1).any(dim=1) for name, where in changed.items() if ".experts." in name]
        masks = [mask for mask in experts for _ in range(2)]
        assert all((stack <= mask).all() for stack, mask in zip(stacks, masks, strict=True))


def test_every_arm_runs_at_every_rate_those_that_learn_most_twice_and_random_experts_on_three_draws():
    wanted = tuned.missing([])
    first, second, third = tuned.SEEDS
    assert {job for job in wanted if job[2] == first} == {
        (arm, rate, first) for arm in tuned.ARMS for rate in tuned.RATES
    }
    assert {job[0] for job in wanted if job[2] == second} == {*tuned.LEARN_MOST, "random experts"}
    assert {job[0] for job in wanted if job[2] == third} == {"random experts"}
    assert len(wanted) == len(set(wanted)) == (6 + 4 + 1) * 4
    there = [dict(zip(("arm", "rate", "seed"), job, strict=True)) for job in wanted[2:]]
    assert tuned.missing(there) == wanted[:2]


def test_the_shipped_record_is_whole_and_those_that_ran_again_learned_most():
    kept = json.loads(data_path("studies/tuned.json").read_text(encoding="utf-8"))
    assert tuned.missing(kept["runs"]) == [] and len(kept["before"]["losses"]) == 7
    assert len({run["steps"] for run in kept["runs"]}) == 1
    best = {arm: min(run["new"] for run in kept["runs"] if run["arm"] == arm) for arm in tuned.ARMS}
    assert set(sorted(best, key=best.__getitem__)[:3]) == set(tuned.LEARN_MOST)
