"""How often should an expert step? Equal steps of the course's sparse model, its experts' matrices more or less often.

    OMP_NUM_THREADS=1 python -m moe_lessons.studies.expert_steps --steps 240 --seeds 2 \
        --out data/studies/expert-steps.json

makes the record (no lesson reads one yet). Steps, not seconds: what a step of each kind takes is measured side by side
by `moe-lessons bench --only training`. Stopped and started again, it goes on with what is missing.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import keep
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.loop import train
from moe_lessons.training.recipes import recipe

#: Steps from one of an expert's matrices to the next; its rate, in times of the other matrices'; its momentum.
ARMS: tuple[tuple[int, float, float], ...] = (
    (1, 1, 0.95),
    (1, 1, 0.8),
    (8, 2, 0.0),
    (8, 10, 0.0),
    (8, 40, 0.0),
    (32, 20, 0.0),
)


def measure(every: int, rate: float, momentum: float, steps: int, seed: int, corpus: Corpus) -> dict[str, Any]:
    """One run, and its held-out losses in nats per token."""
    model = Transformer(recipe("moe").model_config(corpus.tokenizer.vocab_size), seed=seed)
    changes = {"expert_every": every, "expert_rate": rate, "expert_momentum": momentum}
    config = recipe("moe").train_config(steps=steps, seed=seed, **changes)
    end = train(model, corpus, config, progress=False).evaluations[-1]
    losses = {domain: round(end[domain], 4) for domain in corpus.domains}
    mean = round(sum(losses.values()) / len(losses), 4)
    return {"every": every, "rate": rate, "momentum": momentum, "seed": seed, "mean": mean, "losses": losses}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    corpus = course_corpus(progress=False)
    command = f"python -m moe_lessons.studies.expert_steps --steps {args.steps} --seeds {args.seeds} --out {args.out}"
    runs = json.loads(args.out.read_text(encoding="utf-8"))["runs"] if args.out.exists() else []
    done = {(run["every"], run["rate"], run["momentum"], run["seed"]) for run in runs}
    for seed in range(args.seeds):
        for arm in ARMS:
            if (*arm, seed) not in done:
                runs.append(measure(*arm, args.steps, seed, corpus))
                keep(args.out, {"command": command, "threads": torch.get_num_threads(), "runs": runs})
                print(
                    f"every {arm[0]}, {arm[1]} times, momentum {arm[2]}, seed {seed}: {runs[-1]['mean']:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
