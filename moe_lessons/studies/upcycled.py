"""What a minute brings to a trained dense model, to the mixture made of its copies, and to one that begins at nothing.

    python -m moe_lessons.studies.upcycled --seconds 60 --seeds 3 --out data/studies/upcycled.json

makes the record that lesson 07 reads, two runs at a time with a thread each. The rate of a trained model has come to
zero. It goes on at a small share of the usual rates (`again`); what a larger one does, one of the arms shows.
"""

import argparse
import json
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from moe_lessons.config import MoEConfig, TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.model.upcycle import upcycle
from moe_lessons.studies.keep import keep, last_losses, same_setting
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.evaluate import Evaluation, evaluate
from moe_lessons.training.loop import train
from moe_lessons.training.recipes import Recipe, recipe
from moe_lessons.training.shipped import open_shipped

ARMS = ("dense", "upcycled", "dense, faster", "scratch")
AT_ONCE = 2
COPIES, TOP_K = 8, 2
AGAIN, FASTER = 0.02, 0.16  # of the usual rates


def begin(arm: str, seed: int = 0) -> Transformer:
    """The model as it is before its minute: trained, made of copies, or new."""
    if arm == "scratch":
        return Transformer(recipe("course-moe-clock").model, seed=seed)
    dense = open_shipped("course-dense").model
    if arm != "upcycled":
        return dense
    moe = MoEConfig(n_routed_experts=COPIES, top_k=TOP_K, hidden_dim=dense.config.hidden_dim, expert_bias=True)
    return upcycle(dense, moe, seed=seed)


def again(found: Recipe, share: float, **changes: Any) -> TrainConfig:
    """A recipe's run at a share of its rates."""
    usual = found.train_config(seconds=1)
    return found.train_config(lr=share * usual.lr, matrix_lr=share * usual.matrix_lr, **changes)


def settings(arm: str, seconds: float, seed: int) -> TrainConfig:
    """How the model is trained; from `seed` comes the order of the text, which shipped models have read in another."""
    if arm == "scratch":
        return recipe("course-moe-clock").train_config(seconds=seconds, seed=seed)
    share = FASTER if arm == "dense, faster" else AGAIN
    changes: dict[str, Any] = {"seconds": seconds, "seed": 100 + seed}
    if arm == "upcycled":  # an expert waits until it has seen what another matrix sees in a step
        wait = COPIES // TOP_K
        changes |= {"bias_rate": 0.003, "expert_every": wait, "expert_rate": float(wait), "expert_momentum": 0.5}
    return again(recipe("course-dense-clock"), share, **changes)


def minute(arm: str, seconds: float, seed: int, corpus: Corpus | None = None) -> dict[str, Any]:
    """Train one of them for so long; the held-out losses in nats per token, before and after."""
    torch.set_num_threads(1)
    corpus = corpus or course_corpus(progress=False)
    model = begin(arm, seed)
    history = train(model, corpus, settings(arm, seconds, seed), progress=False)
    run = {"arm": arm, "seconds": seconds, "seed": seed, "steps": history.steps}
    return run | last_losses(history, corpus.domains)


def _mean(evaluations: Mapping[str, Evaluation]) -> float:
    return round(sum(each.nats_per_token for each in evaluations.values()) / len(evaluations), 4)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    command = f"python -m moe_lessons.studies.upcycled --seconds {args.seconds:g} --seeds {args.seeds} --out {args.out}"
    begun = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    runs = begun.get("runs", [])
    for run in runs:
        same_setting(args.out, "seconds", run["seconds"], args.seconds)
    corpus = course_corpus(progress=False)
    before = begun.get("before") or _mean(evaluate(begin("dense"), corpus, max_tokens=30_000))
    with ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as pool:
        for seed in range(args.seeds):
            if any(run["seed"] == seed for run in runs):
                continue
            runs += pool.map(minute, ARMS, [args.seconds] * len(ARMS), [seed] * len(ARMS))
            keep(args.out, {"command": command, "torch": torch.__version__, "before": before, "runs": runs})
            print(f"seed {seed}:", ", ".join(f"{run['arm']} {run['mean']}" for run in runs[-len(ARMS) :]), flush=True)


if __name__ == "__main__":
    main()
