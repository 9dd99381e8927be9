"""A dense and a sparse model for equal seconds, both at once, each with a thread, and so a core, of its own.

    python -m moe_lessons.studies.clock --seconds 75 300 600 1500 --seeds 3 --out data/studies/clock.json

makes the record that lesson 07 and the ledger read, on a machine with two cores. Side by side, because a machine's
speed drifts: what slows one slows the other. Each has a learning rate that follows its clock, so that a race of 300
seconds is not the continuation of one of 75. Stopped and started again, it goes on with what is missing.

The seconds of a race are those that a model's one thread had on its core ("clock": "core"). With nothing else to do,
they are the seconds on the wall; beside other work they pass more slowly. Such work may still slow both models, by what
it does to the cores' memory and caches. Races kept without that word were run by the clock on the wall.
"""

import argparse
import json
import multiprocessing
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from moe_lessons.accounting import training_flops_per_token
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import keep, last_losses
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.loop import train
from moe_lessons.training.recipes import recipe

MEASURED = 12  # times on the way, about
STEPS_A_SECOND = 8  # about

#: The models' cards: as many parameters at work on a token, and each with the way to train that suits it.
ARMS: dict[str, str] = {"dense": "course-dense-clock", "sparse": "course-moe-clock"}


def run(arm: str, seconds: float, seed: int, corpus: Corpus | None = None) -> dict[str, Any]:
    """Train one of the models for so long and write down what happened; its evaluations stop its clock."""
    torch.set_num_threads(1)
    corpus = corpus or course_corpus(progress=False)
    found = recipe(ARMS[arm])
    config = found.model_config(corpus.tokenizer.vocab_size)
    every = max(1, round(STEPS_A_SECOND * seconds / MEASURED))
    settings = found.train_config(seconds=seconds, seed=seed, evaluate_every=every)
    history = train(Transformer(config, seed=seed), corpus, settings, progress=False, now=time.process_time)
    at = {point["step"]: point["seconds"] for point in history.points}
    domains = corpus.domains
    return {
        "steps": history.steps,
        "tokens": history.tokens,
        "flops_per_token": training_flops_per_token(config, settings.seq_len),
        "curve": history.summary(n_points=100)["curve"],  # step, seconds, mean training loss since the row before
        "held_out": [  # step, seconds, mean over the kinds of text
            [row["step"], round(at[row["step"]], 2), round(sum(row[d] for d in domains) / len(domains), 4)]
            for row in history.evaluations
        ],
        "losses": last_losses(history, domains)["losses"],
    }


def race(seconds: float, seed: int) -> dict[str, Any]:
    """All models at once, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(ARMS), mp_context=context) as pool:
        going = {arm: pool.submit(run, arm, seconds, seed) for arm in ARMS}
        return {
            "seconds": seconds,
            "seed": seed,
            "clock": "core",
            "runs": {arm: work.result() for arm, work in going.items()},
        }


def missing(races: Sequence[Mapping[str, Any]], lengths: Sequence[float], seeds: int) -> list[tuple[float, int]]:
    """The length and seed of each race that is still to be run, the short ones first."""
    there = {(row["seconds"], row["seed"]) for row in races}
    return [(length, seed) for length in sorted(lengths) for seed in range(seeds) if (length, seed) not in there]


def described() -> dict[str, dict[str, Any]]:
    """What the models are and how they are trained, as their cards say today."""
    cards = {arm: recipe(card) for arm, card in ARMS.items()}
    return {arm: {"card": it.card, "train": it.train, "model": it.model.to_dict()} for arm, it in cards.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", required=True, help="lengths of the races")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    begun = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    if begun and begun["arms"] != described():
        raise ValueError(f"{args.out.name} was begun with other settings than today's cards; write to another file")
    course_corpus(progress=False)  # built once, before two processes want it
    races, commands = begun.get("races", []), begun.get("commands", [])
    command = f"python -m moe_lessons.studies.clock {shlex.join(given)}"
    commands += [command] if command not in commands else []
    for seconds, seed in missing(races, args.seconds, args.seeds):
        races.append(race(seconds, seed))
        keep(
            args.out,
            {"commands": commands, "threads": 1, "torch": torch.__version__, "arms": described(), "races": races},
        )
        ends = {arm: f"{row['held_out'][-1][2]:.3f} ({row['steps']} steps)" for arm, row in races[-1]["runs"].items()}
        print(f"{seconds:.0f} s, seed {seed}:", ", ".join(f"{arm} {end}" for arm, end in ends.items()), flush=True)


if __name__ == "__main__":
    main()
