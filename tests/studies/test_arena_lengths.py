"""Lesson 14's study of longer races: the same runs as in the arena, and the file that its command makes."""

import json

import pytest
from tiny_run import sums

from moe_lessons.capstone import Arena, HashRouter, SoftmaxRouter
from moe_lessons.resources import data_path
from moe_lessons.studies.arena_lengths import race
from moe_lessons.text.own_text import text_corpus


def test_a_race_ends_where_the_arena_ends_with_the_same_routers(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    arena, found = Arena(corpus, steps=3), race(corpus, 3, [1, 3], 1)
    dice = arena.enter("dice", HashRouter, seed=1)
    softmax = arena.enter("softmax", SoftmaxRouter, balance_loss=0.01, seed=1)
    assert (found.seed, found.marks, len(found.dice), len(found.softmax)) == (1, [1, 3], 2, 2)
    assert found.dice[-1] == pytest.approx(dice.row.loss, abs=1e-4)
    assert found.softmax[-1] == pytest.approx(softmax.row.loss, abs=1e-4)
    assert abs(found.dice[0] - found.dice[-1]) > 1e-4 < abs(found.dice[-1] - found.softmax[-1])


def test_the_shipped_record_is_that_of_its_command():
    record = json.loads(data_path("studies/arena-lengths.json").read_text(encoding="utf-8"))
    steps, seeds = (int(record["command"].split(f"--{name} ")[1].split()[0]) for name in ("steps", "seeds"))
    assert [one["seed"] for one in record["races"]] == list(range(seeds))
    for one in record["races"]:
        assert one["marks"][-1] == steps and len(one["marks"]) == len(one["dice"]) == len(one["softmax"])
