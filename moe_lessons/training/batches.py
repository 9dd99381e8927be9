"""Which text a step sees: a pure function of seed and step, so that a run can stop and go on to the bit."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from moe_lessons.seeds import run_seed


class Batches:
    """Windows of `seq_len + 1` tokens; an epoch visits every token once, in an order and at an offset of its own."""

    def __init__(self, ids: np.ndarray, batch_size: int, seq_len: int, seed: int) -> None:
        if len(ids) < seq_len + 2:
            raise ValueError(
                f"the training text has {len(ids)} tokens, but one window takes seq_len + 1 = {seq_len + 1}; "
                "use a longer text or a smaller seq_len"
            )
        self.ids, self.batch_size, self.seq_len, self.seed = ids, batch_size, seq_len, seed
        self.windows = max(1, (len(ids) - 1 - seq_len) // seq_len)
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def __call__(self, step: int) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
        """Inputs and targets of one step, on the CPU."""
        drawn = range(step * self.batch_size, (step + 1) * self.batch_size)
        starts = [self._order(n // self.windows)[n % self.windows] for n in drawn]
        rows = np.stack([self.ids[s : s + self.seq_len + 1] for s in starts]).astype(np.int64)
        windows = torch.from_numpy(rows)
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()

    def _draw_order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([run_seed(self.seed), epoch])
        spare = len(self.ids) - 1 - self.windows * self.seq_len
        return rng.permutation(self.windows) * self.seq_len + rng.integers(0, spare + 1)
