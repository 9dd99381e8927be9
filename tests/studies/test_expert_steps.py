"""Lesson 07's study of experts that wait: what one run says of itself, and the record of the command."""

import json

import pytest
from tiny_run import sums

from moe_lessons.resources import data_path
from moe_lessons.studies.expert_steps import ARMS, measure
from moe_lessons.text.own_text import text_corpus


def test_a_run_says_what_it_was_and_arms_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    often, seldom = (measure(every, 1, 0.5, 3, 0, corpus) for every in (1, 3))
    assert (seldom["every"], seldom["rate"], seldom["momentum"], seldom["seed"]) == (3, 1, 0.5, 0)
    assert seldom["mean"] == pytest.approx(sum(seldom["losses"].values()) / len(seldom["losses"]), abs=1e-4)
    assert often["mean"] != seldom["mean"]


def test_the_shipped_record_has_every_arm_once_for_each_seed():
    record = json.loads(data_path("studies/expert-steps.json").read_text(encoding="utf-8"))
    seeds = int(record["command"].split("--seeds ")[1].split()[0])
    found = [(run["every"], run["rate"], run["momentum"], run["seed"]) for run in record["runs"]]
    assert sorted(found) == sorted((*arm, seed) for arm in ARMS for seed in range(seeds)) and record["threads"] == 1
