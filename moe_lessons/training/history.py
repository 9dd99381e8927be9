"""The record of a training run."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """What happened in a run: one point a step, one entry an evaluation."""

    points: list[dict[str, float]] = field(default_factory=list)  # step, seconds, loss (nats per token), tokens, lr
    evaluations: list[dict[str, Any]] = field(default_factory=list)  # step, and nats per token by domain
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0  # training alone, without evaluation
    interrupted: bool = False

    @property
    def loss(self) -> float:
        """Mean training loss of the last tenth of the steps, nats per token; nan before the first step."""
        last = self.points[-max(1, len(self.points) // 10) :]
        return sum(point["loss"] for point in last) / len(last) if last else float("nan")
