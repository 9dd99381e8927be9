"""Does a multi-token module in the training help the next token? The same short run with one and without, side by side.

python -m moe_lessons.studies.look_ahead --steps 400 --seeds 3 --out data/studies/look-ahead.json
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.config import AttentionConfig, ModelConfig, TrainConfig
from moe_lessons.device import keep_freed_memory
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import keep_by_seed
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.batches import Batches
from moe_lessons.training.held_out import held_out, held_out_loss
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.schedule import learning_rate_factor

TIME = 128  # tokens in one sequence


class Run(NamedTuple):
    """One training run: how long it was, and the next token's loss on held-out text at its end."""

    steps: int
    seconds: float
    nats: float


class Comparison(NamedTuple):
    """Three runs from one seed; the first two read the same tokens, the last two take about the same time."""

    without: Run
    along: Run  # with one module, whose loss counts 0.3
    same_seconds: Run | None  # without, for as many steps as take the time of `along`


def student(vocab_size: int) -> ModelConfig:
    """A model that trains in seconds."""
    heads = AttentionConfig(n_heads=2, qk_norm=True)
    return ModelConfig(vocab_size=vocab_size, dim=64, n_layers=2, hidden_dim=192, max_length=TIME, attention=heads)


def run(corpus: Corpus, depth: int, steps: int, seed: int) -> Run:
    """Train with `depth` modules on `steps` batches of 1,024 tokens and measure the next token's loss alone."""
    config = TrainConfig(steps=steps, batch_size=8, seq_len=TIME, seed=seed)
    model = Transformer(replace(student(corpus.tokenizer.vocab_size), mtp_depth=depth), seed=seed)
    optimizers, batches = build_optimizers(model, config), Batches(corpus.train.ids, 8, TIME, seed)
    keep_freed_memory()
    began = time.perf_counter()
    for step in range(steps):
        factor = learning_rate_factor((step + 1) / steps, config.warmup, config.final_lr)
        training_step(model, optimizers, *batches(step), config, factor)
    seconds = time.perf_counter() - began
    text = held_out(corpus, windows=96, width=TIME + 1)
    return Run(steps, seconds, held_out_loss(model, text, batch_size=8))  # the logits of all at once are 50 MB


def compare(corpus: Corpus, steps: int, seed: int, same_seconds: bool = True) -> Comparison:
    """The runs of one seed, the third only where it is asked for."""
    without, along = run(corpus, 0, steps, seed), run(corpus, 1, steps, seed)
    longer = round(steps * along.seconds / without.seconds)
    return Comparison(without, along, run(corpus, 0, longer, seed) if same_seconds else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--same-seconds", type=int, metavar="N", help="of these seeds only the first N (default: all)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    corpus = course_corpus(progress=False)
    timed = args.seeds if args.same_seconds is None else args.same_seconds
    command = f"python -m moe_lessons.studies.look_ahead --steps {args.steps} --seeds {args.seeds}"
    command += f" --same-seconds {timed} --out {args.out}" if timed < args.seeds else f" --out {args.out}"

    def make(seed: int) -> dict[str, Any]:
        comparison = compare(corpus, args.steps, seed, same_seconds=seed < timed)
        return {name: one and one._asdict() for name, one in comparison._asdict().items()}

    keep_by_seed(args.out, command, "seeds", args.seeds, make)


if __name__ == "__main__":
    main()
