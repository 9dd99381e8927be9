"""Lesson 14's study of dice: what is looked up, and the file that its command makes."""

import json

import pytest
import torch
from tiny_run import sums

from moe_lessons.capstone import Arena, HashRouter
from moe_lessons.resources import data_path
from moe_lessons.studies.arena_dice import dice, ends
from moe_lessons.text.own_text import text_corpus


def test_each_dice_looks_up_what_its_name_says():
    texts = torch.tensor([[5, 6, 5, 7], [7, 7, 6, 5]])
    hidden = torch.zeros(8, 3)
    tables = {}
    for name, router in dice(4).items():
        torch.manual_seed(0)
        tables[name] = router(3, 16, 2)
    table = tables["token"].table
    read = {name: made(hidden, texts.flatten()).experts.view(2, 4, 2) for name, made in tables.items()}
    for text in range(2):
        for place in range(4):
            before = texts[text, place - 1] if place else 0
            assert torch.equal(read["token"][text, place], table[texts[text, place]])
            assert torch.equal(read["token before"][text, place], table[before])
            assert torch.equal(read["place"][text, place], table[place])
    asked = [tables["anew"](torch.zeros(400, 3), torch.full((400,), 5)).experts for _ in range(2)]
    assert not torch.equal(*asked) and asked[0].unique().tolist() == list(range(16))


def test_dice_by_token_end_where_lesson_14s_end_and_only_what_learns_or_is_thrown_anew_moves(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    found, entry = ends(corpus, 1, steps=3), Arena(corpus, steps=3).enter("dice", HashRouter, seed=1)
    assert found.losses["token"] == pytest.approx(entry.row.loss, abs=2e-4)
    assert {name for name, share in found.moved.items() if share == 0} == {"token", "token before", "place"}
    assert set(found.losses) == set(found.moved) == {"token", "token before", "place", "anew", "frozen", "softmax"}


def test_the_shipped_record_is_that_of_its_command():
    record = json.loads(data_path("studies/arena-dice.json").read_text(encoding="utf-8"))
    seeds = int(record["command"].split("--seeds ")[1].split()[0])
    assert [one["seed"] for one in record["seeds"]] == list(range(seeds)) and record["threads"] == 1
    for one in record["seeds"]:
        assert all(2 < loss < 7 for loss in one["losses"].values()) and one["moved"]["token"] == 0
