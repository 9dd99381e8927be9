"""The record of a training run."""

import math
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

    def summary(self, n_points: int = 200) -> dict[str, Any]:
        """The run in few numbers, for a file: the curve is thinned to at most `n_points` rows, the last one among them.

        Its rows are step, seconds, and the mean loss (nats per token) since the row before.
        """
        stride = max(1, math.ceil(len(self.points) / n_points))
        groups = [self.points[i : i + stride] for i in range(0, len(self.points), stride)]
        return {
            "steps": self.steps,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 1),
            "interrupted": self.interrupted,
            "curve": [
                [g[-1]["step"], round(g[-1]["seconds"], 2), round(sum(p["loss"] for p in g) / len(g), 4)]
                for g in groups
            ],
            "evaluations": self.evaluations,
        }
