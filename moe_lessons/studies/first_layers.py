"""Routes from a table of token ids, as DeepSeek-V4 has them in its first layers, against learned ones, layer by layer.

    python -m moe_lessons.studies.first_layers --steps 400 --seeds 3 --out data/studies/first-layers.json

makes the record that lesson 17 reads, two runs at a time with a thread each. All arms have as many parameters at work
on a token, but for the dense layer's missing router, and read the same text with the same rates. A seed decides the
first weights, the order of the text and the tables. Stopped and started again, it goes on with what is missing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from moe_lessons.config import TrainConfig
from moe_lessons.model.hash_routes import HashMoE, drawn_routes
from moe_lessons.model.shaped_moe import feed_forward_of, mixture_of
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.four_layers import MOE, N_LAYERS, add_runs, four_layers, kept_runs, run
from moe_lessons.text.corpus import Corpus, course_corpus

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


def settings(steps: int, seed: int) -> TrainConfig:
    """Lesson 09's rates, for every arm."""
    return TrainConfig(steps=steps, batch_size=8, seq_len=128, lr=0.02, bias_rate=0.01, seed=seed)


def measure(arm: str, steps: int, seed: int, corpus: Corpus | None = None) -> dict[str, Any]:
    """One run of one arm."""
    torch.set_num_threads(1)
    corpus = corpus or course_corpus(progress=False)
    model = build(ARMS[arm], corpus.tokenizer.vocab_size, seed)
    return {"arm": arm, "seed": seed, "steps": steps} | run(model, corpus, settings(steps, seed))


def missing(runs: Sequence[dict[str, Any]], seeds: int) -> list[tuple[str, int]]:
    """The arms and seeds that are not among the runs, a seed after the other."""
    done = {(run["arm"], run["seed"]) for run in runs}
    return [(arm, seed) for seed in range(seeds) for arm in ARMS if (arm, seed) not in done]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    course_corpus(progress=False)  # built once, before two processes want it
    command = f"python -m moe_lessons.studies.first_layers --steps {args.steps} --seeds {args.seeds} --out {args.out}"
    head = {"command": command, "torch": torch.__version__, "threads": 1, "arms": ARMS}
    jobs = [(arm, args.steps, seed) for arm, seed in missing(kept_runs(args.out), args.seeds)]
    add_runs(args.out, head, measure, jobs)


if __name__ == "__main__":
    main()
