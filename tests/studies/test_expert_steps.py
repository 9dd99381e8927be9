"""Lesson 07's study of experts that wait: what one run says of itself."""

import pytest
from tiny_run import sums

from moe_lessons.studies.expert_steps import measure
from moe_lessons.text.own_text import text_corpus


def test_a_run_says_what_it_was_and_arms_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    often, seldom = (measure(every, 1, 0.5, 3, 0, corpus) for every in (1, 3))
    assert (seldom["every"], seldom["rate"], seldom["momentum"], seldom["seed"]) == (3, 1, 0.5, 0)
    assert seldom["mean"] == pytest.approx(sum(seldom["losses"].values()) / len(seldom["losses"]), abs=1e-4)
    assert often["mean"] != seldom["mean"]
