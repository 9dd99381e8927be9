"""Routes from a table of token ids, as DeepSeek-V4 has them in its first layers, against learned ones, layer by layer.

    python -m moe_lessons.studies.first_layers --steps 400 --seeds 3 --out data/studies/first-layers.json
    python -m moe_lessons.studies.first_layers --steps 1200 --seeds 2 --arms "all learned" "table in all" \
        --out data/studies/first-layers-long.json
    python -m moe_lessons.studies.first_layers --steps 400 --seeds 1 --arms "all learned" "table in all" \
        --rates 0.01 0.03 --out data/studies/first-layers-rates.json

make the records that lesson 17 reads, two runs at a time with a thread each. All arms have as many parameters at work
on a token, but for the dense layer's missing router, and read the same text at the same rates, lesson 09's if nothing
else is said. A seed decides the first weights, the order of the text and the tables. Stopped and started again, it
goes on with what is missing.
"""

import argparse
import itertools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from moe_lessons.config import TrainConfig
from moe_lessons.model.hash_routes import HashMoE, drawn_routes
from moe_lessons.model.shaped_moe import feed_forward_of, mixture_of
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.four_layers import MOE, N_LAYERS, four_layers, run
from moe_lessons.studies.keep import add_runs, kept_runs
from moe_lessons.text.corpus import Corpus, course_corpus

LR = 0.02  # lesson 09's
#: What each layer's feed-forward is, from the first to the last.
ARMS: dict[str, tuple[str, ...]] = {
    "all learned": ("learned",) * 4,
    "table in the first": ("table", "learned", "learned", "learned"),
    "table in the first two": ("table", "table", "learned", "learned"),
    "table in the last two": ("learned", "learned", "table", "table"),
    "table in the last": ("learned", "learned", "learned", "table"),
    "table in all": ("table",) * 4,
    "dense first": ("dense", "learned", "learned", "learned"),
}


def build(kinds: Sequence[str], vocab_size: int, seed: int) -> Transformer:
    """A model whose layers route as they are told, with the seed's first weights and tables."""
    config = four_layers(vocab_size, replace(MOE, n_hash_layers=N_LAYERS))
    model = Transformer(config)
    for layer, (block, kind) in enumerate(zip(model.blocks, kinds, strict=True)):
        if kind == "table":
            assert isinstance(block.feed_forward, HashMoE)
            table = drawn_routes(vocab_size, MOE.n_routed_experts, MOE.top_k, N_LAYERS * seed + layer)
            block.feed_forward.router.routes = table
        elif kind == "learned":
            block.feed_forward = mixture_of(config)
        else:
            block.feed_forward = feed_forward_of(config, config.hidden_dim)
    model.reset_parameters(seed)
    return model


def measure(arm: str, steps: int, seed: int, lr: float = LR, corpus: Corpus | None = None) -> dict[str, Any]:
    """One run of one arm."""
    torch.set_num_threads(1)
    corpus = corpus or course_corpus(progress=False)
    model = build(ARMS[arm], corpus.tokenizer.vocab_size, seed)
    settings = TrainConfig(steps=steps, batch_size=8, seq_len=128, lr=lr, bias_rate=0.01, seed=seed)
    return {"arm": arm, "seed": seed, "steps": steps, "lr": lr} | run(model, corpus, settings)


def missing(
    runs: Sequence[dict[str, Any]], seeds: int, arms: Sequence[str] = tuple(ARMS), rates: Sequence[float] = (LR,)
) -> list[tuple[str, int, float]]:
    """The arms, seeds and rates that are not among the runs, a seed after the other."""
    done = {(run["arm"], run["seed"], run["lr"]) for run in runs}
    wanted = itertools.product(range(seeds), rates, arms)
    return [(arm, seed, lr) for seed, lr, arm in wanted if (arm, seed, lr) not in done]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--rates", type=float, nargs="+", default=[LR], help="AdamW's, which routers follow")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    command = f"python -m moe_lessons.studies.first_layers {shlex.join(given)}"
    head = {"command": command, "torch": torch.__version__, "threads": 1, "arms": {arm: ARMS[arm] for arm in args.arms}}
    found = missing(kept_runs(args.out, steps=args.steps), args.seeds, args.arms, args.rates)
    course_corpus(progress=False)  # built once, before two processes want it
    jobs = [(arm, args.steps, seed, lr) for arm, seed, lr in found]
    add_runs(args.out, head, measure, jobs)


if __name__ == "__main__":
    main()
