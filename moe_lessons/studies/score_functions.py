"""Softmax, sigmoid and the root of a softplus as a router's scores: each tuned alike, then compared on fresh seeds.

    python -m moe_lessons.studies.score_functions --steps 300 --seeds 3 --out data/studies/score-functions.json

makes the record that lesson 17 reads, two runs at a time with a thread each. Tried first, on a seed of their own, are
the same rates for all three: of the router's learning and of the bias that balances. The best of each then runs on
seeds that chose nothing. Stopped and started again, it goes on with what is missing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch

from moe_lessons.config import TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.routing_rule import ScoreFunction
from moe_lessons.studies.four_layers import MOE, four_layers, run
from moe_lessons.studies.keep import add_runs, kept_runs
from moe_lessons.text.corpus import Corpus, course_corpus

FUNCTIONS: tuple[ScoreFunction, ...] = get_args(ScoreFunction)
TRIAL = 100  # the seed that rates are chosen on


class Rates(NamedTuple):
    """What is tuned: AdamW's rate, which the router, the embedding and the gains follow, and the bias's step."""

    lr: float
    bias_rate: float


_TRIED = {0.01: (0.001, 0.003, 0.01, 0.03), 0.03: (0.003, 0.01)}
GRID = tuple(Rates(lr, bias_rate) for lr, bias_rates in _TRIED.items() for bias_rate in bias_rates)


def measure(arm: ScoreFunction, rates: Rates, steps: int, seed: int, corpus: Corpus | None = None) -> dict[str, Any]:
    """One run of one score function."""
    torch.set_num_threads(1)
    corpus = corpus or course_corpus(progress=False)
    config = four_layers(corpus.tokenizer.vocab_size, replace(MOE, score_function=arm))
    settings = TrainConfig(steps=steps, batch_size=8, seq_len=128, seed=seed, **rates._asdict())
    found = run(Transformer(config, seed=seed), corpus, settings)
    return {"arm": arm, **rates._asdict(), "seed": seed, "steps": steps} | found


def trials(runs: Sequence[dict[str, Any]]) -> list[tuple[ScoreFunction, Rates, int]]:
    """The trials that are still to be run."""
    return _without(runs, [(arm, rates, TRIAL) for rates in GRID for arm in FUNCTIONS])


def best_rates(runs: Sequence[dict[str, Any]]) -> dict[ScoreFunction, Rates]:
    """The rates of each score function's best trial."""
    tried = [run for run in runs if run["seed"] == TRIAL]

    def best_of(arm: ScoreFunction) -> Rates:
        run = min((run for run in tried if run["arm"] == arm), key=lambda run: run["mean"])
        return Rates(run["lr"], run["bias_rate"])

    return {arm: best_of(arm) for arm in FUNCTIONS}


def missing(runs: Sequence[dict[str, Any]], seeds: int) -> list[tuple[ScoreFunction, Rates, int]]:
    """The runs on fresh seeds that are still to be made, once all trials are there."""
    return _without(runs, [(arm, rates, seed) for seed in range(seeds) for arm, rates in best_rates(runs).items()])


def _without(
    runs: Sequence[dict[str, Any]], wanted: list[tuple[ScoreFunction, Rates, int]]
) -> list[tuple[ScoreFunction, Rates, int]]:
    done = {(run["arm"], Rates(run["lr"], run["bias_rate"]), run["seed"]) for run in runs}
    return [job for job in wanted if job not in done]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    kept_runs(args.out, steps=args.steps)  # refuses before anything is built
    course_corpus(progress=False)  # built once, before two processes want it
    given = f"--steps {args.steps} --seeds {args.seeds} --out {args.out}"
    head = {"command": f"python -m moe_lessons.studies.score_functions {given}", "torch": torch.__version__}
    head |= {"threads": 1, "trial_seed": TRIAL}
    for find in (trials, lambda runs: missing(runs, args.seeds)):
        jobs = [(arm, rates, args.steps, seed) for arm, rates, seed in find(kept_runs(args.out))]
        add_runs(args.out, head, measure, jobs)


if __name__ == "__main__":
    main()
