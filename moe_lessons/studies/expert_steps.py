"""How often should an expert step? Equal steps of one sparse model, its experts' matrices more or less often.

    python -m moe_lessons.studies.expert_steps --steps 500 --seeds 2 --out data/studies/expert-steps.json

makes the record that lesson 07 reads, two runs at a time, each with one thread. Steps, not seconds: what a step of each
kind takes is measured side by side by `moe-lessons bench --only training`. Stopped and started again, it goes on with
what is missing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import add_runs, kept_runs, last_losses
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.loop import train
from moe_lessons.training.recipes import recipe

CARD = "course-moe-clock"


class Arm(NamedTuple):
    """How the experts' matrices step."""

    every: int  # steps from one of an expert's matrices to the next
    rate: float  # in times of the other matrices'
    momentum: float


ARMS = (
    Arm(1, 1, 0.9),  # like all other matrices
    Arm(1, 1, 0.5),
    Arm(2, 2, 0.5),
    Arm(4, 4, 0.5),
    Arm(8, 1, 0.5),
    Arm(8, 8, 0.0),
    Arm(8, 8, 0.5),
    Arm(8, 8, 0.9),
    Arm(8, 64, 0.5),
    Arm(32, 32, 0.5),
)


def measure(arm: Arm, steps: int, seed: int, corpus: Corpus | None = None) -> dict[str, Any]:
    """One run, and its held-out losses in nats per token."""
    torch.set_num_threads(1)
    corpus = corpus or course_corpus(progress=False)
    found = recipe(CARD)
    model = Transformer(found.model_config(corpus.tokenizer.vocab_size), seed=seed)
    changes = {f"expert_{name}": value for name, value in arm._asdict().items()}
    history = train(model, corpus, found.train_config(steps=steps, seed=seed, **changes), progress=False)
    return arm._asdict() | {"steps": steps, "seed": seed} | last_losses(history, corpus.domains)


def missing(runs: Sequence[dict[str, Any]], seeds: int) -> list[tuple[Arm, int]]:
    """The arms and seeds that are not among the runs, a seed after the other."""
    done = {(Arm(run["every"], run["rate"], run["momentum"]), run["seed"]) for run in runs}
    return [(arm, seed) for seed in range(seeds) for arm in ARMS if (arm, seed) not in done]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    command = f"python -m moe_lessons.studies.expert_steps --steps {args.steps} --seeds {args.seeds} --out {args.out}"
    head = {"command": command, "card": CARD, "torch": torch.__version__, "threads": 1}
    found = missing(kept_runs(args.out, steps=args.steps), args.seeds)
    course_corpus(progress=False)  # built once, before two processes want it
    jobs = [(arm, args.steps, seed) for arm, seed in found]
    add_runs(args.out, head, measure, jobs, order=("seed", *Arm._fields))


if __name__ == "__main__":
    main()
