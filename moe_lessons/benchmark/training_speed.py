"""Steps of training, dense beside sparse, as `moe-lessons train` makes them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch

from moe_lessons.accounting.flops import training_flops_per_token
from moe_lessons.benchmark.timing import Timing, interleaved
from moe_lessons.config import TrainConfig
from moe_lessons.device import keep_freed_memory
from moe_lessons.model.transformer import Transformer
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.recipes import recipe

# Recipe, name, and what of the recipe is changed.
ARMS = (
    ("dense", "dense", {}),
    ("moe", "moe", {}),
    ("moe", "moe, experts at every 8th step", {"expert_every": 8, "expert_rate": 4.0}),
)


class Training(NamedTuple):
    """One model's step: its seconds, its tokens, and the products that a token needs."""

    card: str
    step: Timing
    tokens: int
    flops_per_token: float
    optimizer: Timing | None = None  # its part of the step, where that was asked for

    @property
    def tokens_per_second(self) -> float:
        """Of the median step."""
        return self.tokens / self.step.median


def compare(rounds: int, device: torch.device, *, quick: bool = False, parts: bool = False) -> dict[str, Training]:
    """The course's dense and sparse model, one step each in turn, on tokens drawn at random.

    With `parts`, each one's optimizer is timed alone, too, and the sparse model runs a second time
    with experts that step less often.
    """
    keep_freed_memory()
    facts = {}
    calls: dict[str, Callable[[], object]] = {}
    for kind, name, changes in ARMS if parts else ARMS[:2]:
        chosen = recipe(kind, device.type)
        small = {"batch_size": 1, "seq_len": 16} if quick else {}
        config = chosen.train_config(steps=1, **changes, **small)
        sizes = replace(chosen.model, n_layers=1, dim=16) if quick else chosen.model
        shape = config.batch_size, config.seq_len + 1
        tokens = torch.randint(sizes.vocab_size, shape, generator=torch.Generator().manual_seed(0)).to(device)
        model = Transformer(sizes, device=device)
        calls[name] = partial(
            training_step, model, build_optimizers(model, config), tokens[:, :-1], tokens[:, 1:], config, 0.1
        )
        if parts:
            calls[f"{name}, optimizer"] = _optimizer_alone(Transformer(sizes, device=device), config)
        flops = training_flops_per_token(sizes, config.seq_len)
        facts[name] = chosen.card, config.batch_size * config.seq_len, flops
    timings = interleaved(calls, rounds)
    return {
        name: Training(card, timings[name], tokens, flops, timings.get(f"{name}, optimizer"))
        for name, (card, tokens, flops) in facts.items()
    }


def _optimizer_alone(model: Transformer, config: TrainConfig) -> Callable[[], None]:
    """A call that steps on gradients which are there already."""
    optimizers = build_optimizers(model, config)
    generator = torch.Generator(model.embedding.weight.device).manual_seed(0)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator, device=parameter.device)

    def step() -> None:
        for optimizer in optimizers:
            optimizer.step()

    return step
