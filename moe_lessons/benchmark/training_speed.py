"""Steps of training, dense beside sparse, as `moe-lessons train` makes them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from moe_lessons.accounting.flops import training_flops_per_token
from moe_lessons.benchmark.timing import Timing, interleaved
from moe_lessons.config import ModelConfig, MoEConfig, TrainConfig
from moe_lessons.device import give_back_freed_memory, keep_freed_memory
from moe_lessons.model.transformer import Transformer
from moe_lessons.model.upcycle import upcycle
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.recipes import recipe


class Arm(NamedTuple):
    """Which model is trained how: a recipe, what of it is changed, and experts made of the dense model's layers."""

    kind: str
    changes: dict[str, Any] = {}
    upcycled: int = 0  # experts of one token, of UPCYCLED


UPCYCLED = 8  # experts, each as wide as the dense layer that it is a copy of
ARMS = {"dense": Arm("dense"), "moe": Arm("moe")}
WAITING = {"moe, experts at every 8th step": Arm("moe", {"expert_every": 8})}
CLOCK = {name: Arm(name) for name in ("course-dense-clock", "course-moe-clock")}  # as lesson 07's race trains them
MORE = {
    **WAITING,
    **CLOCK,
    "dense, AdamW alone": Arm("dense", {"optimizer": "adamw"}),
    "moe, AdamW alone": Arm("moe", {"optimizer": "adamw"}),
    f"dense, upcycled, 1 of {UPCYCLED} used": Arm("dense", upcycled=1),
    f"dense, upcycled, 2 of {UPCYCLED} used": Arm("dense", upcycled=2),
}


class Step(NamedTuple):
    """A call that trains for one step; on how many tokens, and what products each of them needs."""

    call: Callable[[], object]
    card: str
    tokens: int
    flops_per_token: float


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


def compare(
    rounds: int,
    device: torch.device,
    *,
    arms: Mapping[str, Arm] = ARMS,
    quick: bool = False,
    parts: bool = False,
    peers: Mapping[str, Step] | None = None,
) -> dict[str, Training]:
    """The course's dense and sparse model, or other `arms`, one step each in turn, on tokens drawn at random.

    With `parts`, each one's optimizer is timed alone, too. `peers` are others' steps, by name, to be timed among ours.
    """
    give_back_freed_memory()
    keep_freed_memory()
    steps: dict[str, Step] = {}
    optimizers: dict[str, Callable[[], object]] = {}
    for name, arm in arms.items():
        chosen, sizes, config = sizes_of(arm, device, quick=quick)
        model, tokens = _build(arm, sizes, device), tokens_for(sizes, config, device)
        call = partial(
            training_step, model, build_optimizers(model, config), tokens[:, :-1], tokens[:, 1:], config, 0.1
        )
        steps[name] = Step(call, chosen, tokens[:, 1:].numel(), training_flops_per_token(model.config, config.seq_len))
        if parts:
            optimizers[f"{name}, optimizer"] = _optimizer_alone(_build(arm, sizes, device), config)
    steps |= peers or {}
    timings = interleaved({name: step.call for name, step in steps.items()} | optimizers, rounds)
    return {
        name: Training(step.card, timings[name], step.tokens, step.flops_per_token, timings.get(f"{name}, optimizer"))
        for name, step in steps.items()
    }


def sizes_of(arm: Arm, device: torch.device, *, quick: bool) -> tuple[str, ModelConfig, TrainConfig]:
    """The recipe's card, its model for this device, or a tiny one, and its way to train."""
    chosen = recipe(arm.kind, device.type)
    small = {"batch_size": 1, "seq_len": 16} if quick else {}
    first = chosen.model.moe.n_dense_layers if chosen.model.moe else 0
    sizes = replace(chosen.model, n_layers=first + 1, dim=16) if quick else chosen.model
    return chosen.card, sizes, chosen.train_config(steps=1, **arm.changes, **small)


def tokens_for(sizes: ModelConfig, config: TrainConfig, device: torch.device) -> Tensor:
    """A batch with the token behind it, (batch, time + 1): the same for every model of this vocabulary."""
    shape = config.batch_size, config.seq_len + 1
    return torch.randint(sizes.vocab_size, shape, generator=torch.Generator().manual_seed(0)).to(device)


def _build(arm: Arm, sizes: ModelConfig, device: torch.device) -> Transformer:
    model = Transformer(sizes, device=device)
    if not arm.upcycled:
        return model
    return upcycle(model, MoEConfig(n_routed_experts=UPCYCLED, top_k=arm.upcycled, hidden_dim=sizes.hidden_dim))


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
