"""Where a fixed text goes while a model learns: its routes, noted every so many steps."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from moe_lessons.model.router import Routing
from moe_lessons.model.transformer import Transformer
from moe_lessons.tracing.drift import NOBODY
from moe_lessons.tracing.record import observe_routing


class Snapshots:
    """A watcher for `train(..., watch=Snapshots(model, ids))`; the first snapshot is of the model as it comes.

    The text is read as in evaluation, without noise, and the model is left as it was. Raises ValueError for a
    model without a router, or an `every` below 1.
    """

    def __init__(self, model: Transformer, ids: Int[Tensor, "batch time"], every: int = 10) -> None:
        if every < 1:
            raise ValueError(f"every is {every}, but a snapshot can be taken at most every step; give 1 or more")
        self._model, self._ids, self._every = model, ids, every
        self.steps: list[int] = []
        self._taken: list[list[np.ndarray]] = []
        self._take(0)

    def __call__(self, step: int, routings: dict[int, Routing]) -> None:
        if step % self._every == 0:
            self._take(step)

    @torch.no_grad()
    def _take(self, step: int) -> None:
        was_training = self._model.training
        self._model.eval()
        with observe_routing(self._model) as seen:
            self._model(self._ids.to(next(self._model.parameters()).device))
        self._model.train(was_training)
        self.steps.append(step)
        self._taken.append(
            [r.experts.masked_fill(r.weights == 0, NOBODY).cpu().numpy() for _, r in sorted(seen.items())]
        )

    @property
    def experts(self) -> Int[np.ndarray, "snapshots layers tokens top_k"]:
        """Each token's experts, best first; -1 where nobody worked, or where another token has more experts."""
        width = max(layer.shape[1] for taken in self._taken for layer in taken)
        return np.stack(
            [
                [np.pad(layer, ((0, 0), (0, width - layer.shape[1])), constant_values=NOBODY) for layer in taken]
                for taken in self._taken
            ]
        )
