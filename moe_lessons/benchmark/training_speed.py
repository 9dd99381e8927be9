"""Steps of training, dense beside sparse, as `moe-lessons train` makes them."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch

from moe_lessons.accounting.flops import training_flops_per_token
from moe_lessons.benchmark.timing import Timing, interleaved
from moe_lessons.device import keep_freed_memory
from moe_lessons.model.transformer import Transformer
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.recipes import recipe


class Training(NamedTuple):
    """One model's step: its seconds, its tokens, and the products that a token needs."""

    card: str
    step: Timing
    tokens: int
    flops_per_token: float

    @property
    def tokens_per_second(self) -> float:
        """Of the median step."""
        return self.tokens / self.step.median


def compare(rounds: int, device: torch.device, *, quick: bool = False) -> dict[str, Training]:
    """The course's dense and sparse model, one step each in turn, on tokens drawn at random."""
    keep_freed_memory()
    steps, sizes = {}, {}
    for kind in ("dense", "moe"):
        chosen = recipe(kind, device.type)
        config = chosen.train_config(steps=1, **({"batch_size": 1, "seq_len": 16} if quick else {}))
        sizes_of_model = replace(chosen.model, n_layers=1, dim=16) if quick else chosen.model
        model = Transformer(sizes_of_model, device=device)
        shape = config.batch_size, config.seq_len + 1
        tokens = torch.randint(sizes_of_model.vocab_size, shape, generator=torch.Generator().manual_seed(0)).to(device)
        optimizers = build_optimizers(model, config)
        steps[kind] = partial(training_step, model, optimizers, tokens[:, :-1], tokens[:, 1:], config, 0.1)
        flops = training_flops_per_token(sizes_of_model, config.seq_len)
        sizes[kind] = chosen.card, config.batch_size * config.seq_len, flops
    timings = interleaved(steps, rounds)
    return {kind: Training(card, timings[kind], tokens, flops) for kind, (card, tokens, flops) in sizes.items()}
