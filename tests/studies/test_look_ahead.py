"""With and without a multi-token module: the same text, the same seed, and the next token's loss alone."""

import json
import re
from dataclasses import replace

import pytest
import torch

from moe_lessons import Transformer
from moe_lessons.resources import data_path
from moe_lessons.studies.look_ahead import compare, run, student


def test_both_students_start_from_the_same_weights():
    plain, along = (Transformer(replace(student(64), mtp_depth=depth), seed=3) for depth in (0, 1))
    assert all(torch.equal(tensor, along.state_dict()[name]) for name, tensor in plain.state_dict().items())


def test_a_run_is_the_same_again_and_another_with_a_module_or_another_seed(corpus):
    first = run(corpus, 0, 2, 0).nats
    assert run(corpus, 0, 2, 0).nats == pytest.approx(first, abs=1e-5)
    for depth, seed in ((1, 0), (0, 1)):
        assert abs(run(corpus, depth, 2, seed).nats - first) > 1e-5


def test_the_third_run_takes_the_second_ones_time(corpus):
    found = compare(corpus, 3, 0)
    assert found.without.steps == found.along.steps == 3
    assert found.same_seconds.steps == round(3 * found.along.seconds / found.without.seconds)
    assert compare(corpus, 1, 0, same_seconds=False).same_seconds is None


def test_the_shipped_record_is_that_of_its_command():
    record = json.loads(data_path("studies/look-ahead.json").read_text(encoding="utf-8"))
    said = dict(re.findall(r"--([a-z-]+) (\d+)", record["command"]))
    steps, seeds = int(said["steps"]), int(said["seeds"])
    timed = int(said.get("same-seconds", seeds))
    assert len(record["seeds"]) == seeds
    for row in record["seeds"]:
        assert row["without"]["steps"] == row["along"]["steps"] == steps
    for row in record["seeds"][:timed]:
        ratio = row["same_seconds"]["steps"] / steps
        assert ratio > 1 and ratio == pytest.approx(row["along"]["seconds"] / row["without"]["seconds"], rel=0.01)
    assert [row["same_seconds"] for row in record["seeds"][timed:]] == [None] * (seeds - timed)
