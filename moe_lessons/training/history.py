"""The record of a training run."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int


@dataclass
class History:
    """What happened in a run: one point a step, one entry an evaluation, one load a step where there are experts."""

    points: list[dict[str, float]] = field(default_factory=list)  # step, seconds, loss (nats per token), tokens, lr
    evaluations: list[dict[str, Any]] = field(default_factory=list)  # step, and nats per token by domain
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0  # training alone, without evaluation
    interrupted: bool = False
    conditions: dict[str, Any] = field(default_factory=dict)  # of the machine, as far as the weights depend on them
    load_rows: list[Int[np.ndarray, "layers experts"]] = field(default_factory=list, repr=False)  # one a step

    @property
    def loss(self) -> float:
        """Mean training loss of the last tenth of the steps, nats per token; nan before the first step."""
        last = self.points[-max(1, len(self.points) // 10) :]
        return sum(point["loss"] for point in last) / len(last) if last else float("nan")

    @property
    def loads(self) -> Int[np.ndarray, "steps layers experts"]:
        """How many tokens each expert of each sparse layer worked on, step by step; no steps for a dense model."""
        return np.stack(self.load_rows) if self.load_rows else np.zeros((0, 0, 0), np.int32)

    def summary(self, n_points: int = 200, n_loads: int = 20) -> dict[str, Any]:
        """The run in few numbers, for a file: the curve is thinned to at most `n_points` rows, the last one among them.

        Its rows are step, seconds, and the mean loss (nats per token) since the row before. Loads are thinned alike
        to at most `n_loads` rows: the step, and for each layer the tokens that each expert worked on in a mean step.
        """
        return {
            "steps": self.steps,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 1),
            "interrupted": self.interrupted,
            "conditions": self.conditions,
            "curve": [
                [g[-1]["step"], round(g[-1]["seconds"], 2), round(sum(p["loss"] for p in g) / len(g), 4)]
                for g in _groups(self.points, n_points)
            ],
            "loads": [
                [g[-1][0], np.mean([load for _, load in g], axis=0).round(1).tolist()]
                for g in _groups(list(enumerate(self.load_rows, start=self.steps - len(self.load_rows) + 1)), n_loads)
            ],
            "evaluations": self.evaluations,
        }


def _groups(rows: list[Any], most: int) -> list[list[Any]]:
    """Neighbors together, in at most so many groups."""
    stride = max(1, math.ceil(len(rows) / most))
    return [rows[i : i + stride] for i in range(0, len(rows), stride)]
