"""What each of several processes does in lesson 15 and in the tests; functions of a notebook cannot travel."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from moe_lessons.config import ModelConfig, TrainConfig
from moe_lessons.model.experts import Experts
from moe_lessons.model.transformer import Transformer, next_token_loss
from moe_lessons.parallel.experts import SpreadExperts
from moe_lessons.parallel.placement import Placement
from moe_lessons.parallel.ranks import Ranks
from moe_lessons.parallel.replicas import PlacedExperts, place_experts
from moe_lessons.parallel.traffic import record_traffic
from moe_lessons.text.corpus import Corpus
from moe_lessons.training.checkpoint import load_checkpoint
from moe_lessons.training.history import History
from moe_lessons.training.loop import train


class Reading(NamedTuple):
    """What one process made of its part of a text."""

    logits: np.ndarray  # float32 [batch, time, vocab], of this process's sequences
    loss: float  # nats per token, of all processes' sequences
    bytes: np.ndarray  # int64 [layers, from, to], sent in the forward pass by all processes
    parameters: int  # that this process holds


@torch.no_grad()
def read(
    ranks: Ranks, checkpoint: Path, inputs: Tensor, targets: Tensor, placements: Sequence[Placement] | None = None
) -> Reading:
    """One forward pass of a kept model over a batch that is shared out; its experts are spread in order, or placed."""
    model = load_checkpoint(checkpoint).model.eval()
    if placements is None:
        ranks.spread(model)
    else:
        place_experts(model, placements)
    with record_traffic(model) as traffic:
        logits = model(ranks.own(inputs))
    loss = ranks.total(next_token_loss(logits, ranks.own(targets))) / ranks.size
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Reading(logits.numpy(), loss.item(), traffic.bytes, parameters)


def learn(ranks: Ranks, config: ModelConfig, corpus: Corpus, run: TrainConfig) -> History:
    """Train a new model together."""
    return train(ranks.spread(Transformer(config)), corpus, run, team=ranks, progress=False)


class Round(NamedTuple):
    """How long one pass through a layer took a process, in seconds."""

    whole: float
    work: float  # with its experts; the rest is packing, travel and waiting


@torch.no_grad()
def time_layer(
    ranks: Ranks,
    layer: Experts,
    tokens: int,
    choices: dict[str, Tensor],
    placement: Placement | None = None,
    rounds: int = 15,
) -> dict[str, Round]:
    """Medians of a layer's times, spread or placed, for this process's part of each kind of choices, taken in turns."""
    spread = SpreadExperts(layer) if placement is None else PlacedExperts(layer, placement)
    hidden = torch.randn(tokens, layer.down.shape[1], generator=torch.Generator().manual_seed(ranks.rank))
    times: dict[str, list[Round]] = {name: [] for name in choices}
    marks: list[float] = []
    before = spread.exchange.register_forward_pre_hook(lambda *_: marks.append(time.perf_counter()))
    after = spread.exchange.register_forward_hook(lambda *_: marks.append(time.perf_counter()))
    for _ in range(1 + rounds):
        for name, experts in choices.items():
            own = ranks.own(experts)
            weights = torch.full(own.shape, 1 / own.shape[1])
            marks.clear()
            ranks.most(0)  # nobody begins early
            started = time.perf_counter()
            spread(hidden, own, weights)
            # three exchanges there, then the work, then one exchange back
            times[name].append(Round(time.perf_counter() - started, marks[6] - marks[5]))
    before.remove()
    after.remove()
    return {name: Round(*np.median(np.array(each[1:]), axis=0).tolist()) for name, each in times.items()}
