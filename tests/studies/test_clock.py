"""Lesson 07's races by the clock: what a run writes down, and what is still to be run."""

import json

import pytest
from tiny_run import sums

from moe_lessons.accounting import count_parameters
from moe_lessons.resources import data_path
from moe_lessons.studies import clock
from moe_lessons.text.own_text import text_corpus
from moe_lessons.training.recipes import recipe


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("arm", clock.ARMS)
def test_a_run_says_what_it_did(arm, tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    found = clock.run(arm, 1.0, 0, corpus)
    step, seconds, loss = found["held_out"][-1]
    assert step == found["steps"] == found["curve"][-1][0] and found["tokens"] == step * 4 * 256
    assert seconds >= 1.0 and loss == pytest.approx(sum(found["losses"].values()) / len(found["losses"]), abs=1e-4)


def test_the_models_do_the_same_work_on_a_token():
    configs = [recipe(card).model for card in clock.ARMS.values()]
    active = [count_parameters(config).active for config in configs]
    assert max(active) < 1.01 * min(active)


def test_what_is_there_is_not_run_again():
    there = [{"seconds": 75.0, "seed": 0}, {"seconds": 300.0, "seed": 1}]
    assert clock.missing(there, [300, 75], 2) == [(75, 1), (300, 0)]


def test_the_shipped_record_is_whole_and_made_by_its_cards():
    kept = json.loads(data_path("studies/clock.json").read_text(encoding="utf-8"))
    assert kept["arms"] == clock.described()
    lengths = {race["seconds"] for race in kept["races"]}
    assert {75.0, 300.0} <= lengths and all("studies.clock" in command for command in kept["commands"])
    for race in kept["races"]:
        for run in race["runs"].values():
            assert run["held_out"][-1][1] == pytest.approx(race["seconds"], rel=0.05)
            assert run["held_out"][-1][2] == pytest.approx(sum(run["losses"].values()) / 7, abs=1e-3)
