"""How a study is kept: one JSON file that begins with the command that makes it, written whole after each part."""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from moe_lessons.files import replacing
from moe_lessons.training.history import History

AT_ONCE = 2  # runs, each with one thread


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


def kept_runs(path: Path, **settings: Any) -> list[dict[str, Any]]:
    """The runs that a record has already; ValueError where one was made with another of these settings."""
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []
    for run in runs:
        for name, given in settings.items():
            same_setting(path, name, run[name], given)
    return runs


def add_runs(
    path: Path,
    head: Mapping[str, Any],
    measure: Callable[..., dict[str, Any]],
    jobs: Iterable[Sequence[Any]],
    order: Sequence[str] = ("seed", "arm"),
) -> None:
    """Make the missing runs, some at once, and write the record again after each, its runs in this order.

    `jobs` are measure's arguments.
    """
    runs = kept_runs(path)
    with ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as pool:
        for work in as_completed([pool.submit(measure, *job) for job in jobs]):
            runs.append(work.result())
            keep(path, {**head, "runs": sorted(runs, key=lambda row: [row[name] for name in order])})
            print({name: value for name, value in runs[-1].items() if name not in ("losses", "busiest")}, flush=True)


def keep_by_seed(path: Path, command: str, name: str, seeds: int, make: Callable[[int], Any]) -> None:
    """Fill the list `name` of a study with what `make` returns for each seed; what the file has already is kept.

    Stopped and started again, it goes on with the seeds that are missing.
    """
    found = json.loads(path.read_text(encoding="utf-8"))[name] if path.exists() else []
    for seed in range(len(found), seeds):
        found.append(make(seed))
        keep(path, {"command": command, "threads": torch.get_num_threads(), name: found})


def main_by_seed(doc: str | None, module: str, seeds: int, make: Callable[[int], Any]) -> None:
    """A study from the shell that asks for a number of seeds, runs on one thread, and keeps what `make` returns."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    command = f"OMP_NUM_THREADS=1 python -m moe_lessons.studies.{module} --seeds {args.seeds} --out {args.out}"
    torch.set_num_threads(1)
    keep_by_seed(args.out, command, "seeds", args.seeds, make)
