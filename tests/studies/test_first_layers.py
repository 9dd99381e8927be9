"""The study of routes from a table: what its arms are, and what is still to be run."""

import json

import pytest
import torch
from tiny_run import sums

from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.hash_routes import HashMoE
from moe_lessons.resources import data_path
from moe_lessons.studies.first_layers import ARMS, LR, build, measure, missing
from moe_lessons.text.own_text import text_corpus
from moe_lessons.tracing.record import record_routing


def test_each_arm_has_the_layers_that_it_names():
    for kinds in ARMS.values():
        found = [block.feed_forward for block in build(kinds, 64, 0).blocks]
        assert [isinstance(each, HashMoE) for each in found] == [kind == "table" for kind in kinds]
        assert [isinstance(each, SwiGLU) for each in found] == [kind == "dense" for kind in kinds]


def test_arms_have_as_many_parameters_at_work_but_for_a_dense_layers_router():
    def at_work(kinds):
        model = build(kinds, 64, 0)
        idle = sum(
            p.numel() * (16 - 2) // 16 for name, p in model.named_parameters() if name.endswith((".gate_up", ".down"))
        )
        return sum(p.numel() for p in model.parameters()) - idle

    sizes = {name: at_work(kinds) for name, kinds in ARMS.items()}
    assert sizes.pop("dense first") + 16 * 64 == sizes["all learned"]
    assert len(set(sizes.values())) == 1


@torch.no_grad()
def test_a_table_sends_a_token_to_the_same_experts_wherever_it_stands_and_each_seed_has_its_own_tables():
    ids, chosen = torch.arange(2, 62)[None].repeat(1, 2), {}
    for seed in (0, 1):
        model = build(ARMS["table in the last two"], 64, seed).eval()
        with record_routing(model) as trace:
            model(ids)
        chosen[seed] = torch.from_numpy(trace.experts).sort(dim=-1).values.view(4, 2, 60, 2)
    again = [bool((chosen[0][layer, 0] == chosen[0][layer, 1]).all()) for layer in range(4)]
    assert again == [False, False, True, True]
    assert (chosen[0][2] != chosen[0][3]).any() and (chosen[0][3] != chosen[1][3]).any()


@pytest.mark.usefixtures("threads")
def test_a_run_says_what_it_was_and_arms_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    learned, table, dense = (
        measure(arm, 3, 0, corpus=corpus) for arm in ("all learned", "table in all", "dense first")
    )
    assert (table["arm"], table["seed"], table["steps"]) == ("table in all", 0, 3)
    assert len({learned["mean"], table["mean"], dense["mean"]}) == 3
    assert list(learned["busiest"]) == list("0123") and list(dense["busiest"]) == list("123")
    assert all(1 <= value <= 8 for value in learned["busiest"].values())  # of 16 experts, a token has two


def test_what_is_there_is_not_run_again():
    there = [{"arm": arm, "seed": 0, "lr": LR} for arm in list(ARMS)[1:]]
    assert missing(there, 1) == [("all learned", 0, LR)]
    assert missing(there, 1, ["table in all"], [LR, 0.5]) == [("table in all", 0, 0.5)]
    assert len(missing(there, 2)) == 1 + len(ARMS)


def kept(name: str) -> dict:
    return json.loads(data_path(f"studies/first-layers{name}.json").read_text(encoding="utf-8"))


def test_the_shipped_records_are_whole():
    usual, two = kept(""), ["all learned", "table in all"]
    assert missing(usual["runs"], 3) == [] and len({run["steps"] for run in usual["runs"]}) == 1
    assert {name: tuple(kinds) for name, kinds in usual["arms"].items()} == ARMS
    assert missing(kept("-rates")["runs"], 1, two, [0.01, 0.03]) == []
    long = kept("-long")["runs"]
    assert missing(long, 2, two) == []
    assert {run["steps"] for run in long} == {3 * usual["runs"][0]["steps"]}
