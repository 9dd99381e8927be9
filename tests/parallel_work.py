"""What the processes of test_parallel.py do: functions that each of them can import."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from tiny_run import KINDS, corpus, model
from torch import Tensor

from moe_lessons.config import TrainConfig
from moe_lessons.model.experts import Experts
from moe_lessons.parallel import PlacedExperts, Placement, SpreadExperts, place_experts, record_traffic
from moe_lessons.parallel.ranks import Ranks
from moe_lessons.training.history import History
from moe_lessons.training.loop import train
from moe_lessons.training.team import Alone


def layer_gradients(
    ranks: Ranks, whole: Experts, parts: list[tuple[Tensor, ...]], device: str = "cpu"
) -> dict[str, Any]:
    """Output, gradients and traffic of a spread layer, for this process's (hidden, experts, weights, grad)."""
    if device == "cuda":
        torch.cuda.set_device(ranks.rank)
    layer = SpreadExperts(whole.to(device))
    hidden, experts, weights, grad = (tensor.to(device) for tensor in parts[ranks.rank])
    hidden, weights = hidden.requires_grad_(), weights.requires_grad_()
    with record_traffic(layer) as traffic:
        output = layer(hidden, experts, weights)
    (output * grad).sum().backward()
    values = {
        "output": output.detach(),
        "hidden": hidden.grad,
        "weights": weights.grad,
        "gate_up": layer.gather(layer.gate_up.grad),
        "down": layer.gather(layer.down.grad),
        "state": layer.state_dict()["gate_up"],
    }
    return {name: tensor.cpu() for name, tensor in values.items()} | {"bytes": traffic.bytes}


@torch.no_grad()
def placed(
    ranks: Ranks, whole: Experts, placement: Placement, parts: list[tuple[Tensor, ...]]
) -> tuple[Tensor, Tensor, Tensor]:
    """Output of a placed layer for this process's (hidden, experts, weights, ...), the slots asked, and its experts."""
    layer = PlacedExperts(whole, placement)
    hidden, experts, weights, *_ = parts[ranks.rank]
    return layer(hidden, experts, weights), layer.slots(experts), layer.down


def misplaced(ranks: Ranks, whole: Experts, model: Any, placement: Placement) -> list[str]:
    """What a placed layer and a placed model say to a placement for others."""
    said = []
    for attempt in (lambda: PlacedExperts(whole, placement), lambda: place_experts(model, [placement])):
        try:
            attempt()
        except ValueError as error:
            said.append(str(error))
    return said


def train_run(
    ranks: Alone, kind: str, config: TrainConfig, *, device: str = "cpu", **run: Any
) -> tuple[History, dict[str, Tensor]]:
    """Train a tiny model of tiny_run; what happened, and the whole model's weights."""
    own = ranks.spread(model(**KINDS[kind], mtp_depth=int(kind != "dense")).to(device))
    history = train(own, corpus(), config, team=ranks, progress=False, **run)
    return history, {name: tensor.cpu() for name, tensor in own.state_dict().items()}


def train_on_gpu(ranks: Ranks, config: TrainConfig) -> tuple[History, dict[str, Tensor]]:
    """The sparse one, each process with its own GPU."""
    torch.cuda.set_device(ranks.rank)
    return train_run(ranks, "moe", config, device=f"cuda:{ranks.rank}")


def train_runs(ranks: Alone, runs: dict[str, tuple[str, TrainConfig]]) -> dict[str, tuple[History, dict[str, Tensor]]]:
    """Several of them, one after the other."""
    return {name: train_run(ranks, *values) for name, values in runs.items()}


def half_run(ranks: Alone, kind: str, config: TrainConfig, path: Path, resume: bool) -> tuple[History, dict]:
    """The same, stopped by Ctrl-C in the middle, in the last process alone, unless it is the second half."""

    def stop(step: int, _: Any) -> None:
        if not resume and step == config.steps // 2 and ranks.size - 1 == getattr(ranks, "rank", 0):
            os.kill(os.getpid(), signal.SIGINT)

    return train_run(ranks, kind, config, watch=stop, checkpoint=path, resume=resume)


def wait_in_vain(ranks: Ranks) -> None:
    """The last process falls asleep."""
    if ranks.rank == ranks.size - 1:
        time.sleep(60)
    ranks.most(0)
