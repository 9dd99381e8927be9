"""How a study is kept: one JSON file that begins with the command that makes it, written whole after each part."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from moe_lessons.files import replacing
from moe_lessons.training.history import History


def last_losses(history: History, domains: Iterable[str]) -> dict[str, Any]:
    """The last evaluation of a run in nats per token: each domain's, and the mean over them."""
    losses = {domain: round(history.evaluations[-1][domain], 4) for domain in domains}
    return {"mean": round(sum(losses.values()) / len(losses), 4), "losses": losses}


def keep(path: Path, study: Mapping[str, Any]) -> None:
    """Write a study to its file."""
    with replacing(path) as scratch:
        scratch.write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")


def same_setting(path: Path, name: str, kept: Any, given: Any) -> None:
    """Raise ValueError where a study that goes on was begun with another value of a setting, in one sentence."""
    if kept != given:
        raise ValueError(f"{name} is {given}, but {path.name} was begun with {kept}; write to another file")


def keep_by_seed(path: Path, command: str, name: str, seeds: int, make: Callable[[int], Any]) -> None:
    """Fill the list `name` of a study with what `make` returns for each seed; what the file has already is kept.

    Stopped and started again, it goes on with the seeds that are missing.
    """
    found = json.loads(path.read_text(encoding="utf-8"))[name] if path.exists() else []
    for seed in range(len(found), seeds):
        found.append(make(seed))
        keep(path, {"command": command, "threads": torch.get_num_threads(), name: found})
