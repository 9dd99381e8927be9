"""What each of several processes does in lesson 12 and in the tests; functions of a notebook cannot travel."""

import time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from moe_lessons.model.transformer import next_token_loss
from moe_lessons.parallel.experts import spread_experts
from moe_lessons.parallel.ranks import Ranks
from moe_lessons.parallel.traffic import record_traffic
from moe_lessons.training.checkpoint import load_checkpoint


class Reading(NamedTuple):
    """What one process made of its part of a text."""

    loss: float  # nats per token, of this process's sequences
    logits: np.ndarray  # float32 [batch, time, vocab], of this process's sequences
    bytes: np.ndarray  # int64 [layers, from, to], sent in the forward pass by all processes
    seconds: float


@torch.no_grad()
def read(ranks: Ranks, checkpoint: str, inputs: Tensor, targets: Tensor) -> Reading:
    """One forward pass of a kept model whose experts are spread, over a batch that is shared out."""
    model = load_checkpoint(checkpoint).model.eval()
    spread_experts(model)
    inputs, targets = ranks.own(inputs), ranks.own(targets)
    ranks.most(0)  # nobody begins early
    started = time.perf_counter()
    with record_traffic(model) as traffic:
        logits = model(inputs)
    seconds = time.perf_counter() - started
    return Reading(next_token_loss(logits, targets).item(), logits.numpy(), traffic.bytes, seconds)
