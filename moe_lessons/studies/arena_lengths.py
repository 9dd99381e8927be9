"""Does the lead of a table of dice over a learned router last? Both train on, and are measured on the way.

python -m moe_lessons.studies.arena_lengths --steps 600 --seeds 3 --out data/studies/arena-lengths.json
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from moe_lessons.capstone.arena import Arena
from moe_lessons.capstone.contract import AnyRouter, seat_routers
from moe_lessons.capstone.routers import HashRouter, SoftmaxRouter
from moe_lessons.model.transformer import Transformer, next_token_loss
from moe_lessons.studies.keep import keep_by_seed
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.loop import train


class Race(NamedTuple):
    """Held-out losses of two models on the way through the same batches, in nats per token."""

    seed: int
    marks: list[int]  # after so many steps
    dice: list[float]
    softmax: list[float]  # with Switch's balance loss, as in the lesson


def race(corpus: Corpus, steps: int, marks: list[int], seed: int) -> Race:
    """Both routers in the arena of that length, without its checks and its leaderboard."""
    arena = Arena(corpus, steps=steps)
    return Race(
        seed, marks, _losses(arena, HashRouter, marks, seed, 0.0), _losses(arena, SoftmaxRouter, marks, seed, 0.01)
    )


def _losses(arena: Arena, router: AnyRouter, marks: list[int], seed: int, balance_loss: float) -> list[float]:
    model, found = seat_routers(Transformer(arena.config, device=arena.device, seed=seed), router, seed), []

    def measure(step: int, _: object) -> None:
        if step in marks:
            with torch.no_grad():
                found.append(next_token_loss(model(arena.inputs), arena.targets).item())

    config = replace(arena.train, balance_loss=balance_loss, seed=seed)
    train(model, arena.text, config, progress=False, watch=measure)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    corpus = course_corpus(progress=False)
    command = f"python -m moe_lessons.studies.arena_lengths --steps {args.steps} --seeds {args.seeds} --out {args.out}"
    marks = [args.steps // 10 * tenth for tenth in (1, 2, 4, 6, 8, 10)]
    keep_by_seed(args.out, command, "races", args.seeds, lambda seed: race(corpus, args.steps, marks, seed)._asdict())


if __name__ == "__main__":
    main()
