"""Recorded runs that the ledger reads: the shipped models' own, and lesson 07's races for equal seconds."""

import json
from typing import Any

import numpy as np

from moe_lessons.accounting import training_flops_per_token
from moe_lessons.config import ModelConfig
from moe_lessons.resources import data_path


def record(name: str) -> dict[str, Any]:
    """What a run of `moe-lessons train` wrote down beside a shipped model."""
    return json.loads(data_path(f"checkpoints/{name}.json").read_text(encoding="utf-8"))


def spent(name: str) -> tuple[float, float]:
    """A recorded run's FLOPs, and its mean loss over the kinds of text."""
    note = record(name)
    flops = note["tokens"] * training_flops_per_token(ModelConfig.from_dict(note["config"]), note["train"]["seq_len"])
    losses = [loss for domain, loss in note["evaluations"][-1].items() if domain != "step"]
    return flops, float(np.mean(losses))


def leads_by_clock() -> dict[float, float]:
    """Lesson 07's races for equal seconds: their lengths, and how far the sparse model ended ahead, in nats."""
    dense, sparse = (_ends_of_races(arm) for arm in ("dense", "sparse"))
    return {seconds: dense[seconds] - sparse[seconds] for seconds in dense}


def gained_by_settings() -> tuple[float, float]:
    """Seconds of a dense run with the usual recipe, and the nats by which lesson 07's races of that length beat it."""
    seconds = record("clock-dense")["train"]["seconds"]
    return seconds, spent("clock-dense")[1] - _ends_of_races("dense")[seconds]


def _ends_of_races(arm: str) -> dict[float, float]:
    """The last held-out loss, the mean over the races of each length, the shortest first."""
    ends: dict[float, list[float]] = {}
    for race in json.loads(data_path("studies/clock.json").read_text(encoding="utf-8"))["races"]:
        ends.setdefault(race["seconds"], []).append(race["runs"][arm]["held_out"][-1][2])
    return {seconds: float(np.mean(ends[seconds])) for seconds in sorted(ends)}
