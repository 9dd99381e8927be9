"""Lesson 07's study of experts that wait: what one run says of itself, and what is still to be run."""

import json

import pytest
from tiny_run import sums

from moe_lessons.resources import data_path
from moe_lessons.studies.expert_steps import ARMS, Arm, measure, missing
from moe_lessons.text.own_text import text_corpus


@pytest.mark.usefixtures("threads")
def test_a_run_says_what_it_was_and_arms_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    often, seldom = (measure(Arm(every, 1, 0.5), 3, 0, corpus) for every in (1, 3))
    assert (seldom["every"], seldom["rate"], seldom["momentum"], seldom["seed"]) == (3, 1, 0.5, 0)
    assert seldom["mean"] == pytest.approx(sum(seldom["losses"].values()) / len(seldom["losses"]), abs=1e-4)
    assert often["mean"] != seldom["mean"]


def test_what_is_there_is_not_run_again():
    there = [{**arm._asdict(), "seed": 0} for arm in ARMS[1:]]
    assert missing(there, 1) == [(ARMS[0], 0)]
    assert len(missing(there, 2)) == 1 + len(ARMS)


def test_the_shipped_record_is_whole():
    kept = json.loads(data_path("studies/expert-steps.json").read_text(encoding="utf-8"))
    assert missing(kept["runs"], 2) == [] and len({run["steps"] for run in kept["runs"]}) == 1
