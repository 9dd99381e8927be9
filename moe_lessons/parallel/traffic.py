"""Traffic as it happens: bytes that really go from process to process, watched through hooks."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

from moe_lessons.parallel.exchange import Exchange


class Traffic:
    """Bytes that each layer's forward passes sent; complete when the recording ends, on every process."""

    bytes: np.ndarray  # int64 [layers, from, to], there and back, with what stays at home on the diagonal


@contextmanager
def record_traffic(model: nn.Module) -> Iterator[Traffic]:
    """Record what the sparse layers send in every forward pass inside the block; all processes record together.

    Counted is all that `exchange` moves: vectors there and back, the names of their experts and their weights; not
    the few numbers that tell how much will come. Raises ValueError for a model whose experts are not spread.
    """
    exchanges = [module for module in model.modules() if isinstance(module, Exchange)]
    if not exchanges:
        raise ValueError("the model's experts are not spread over processes; use spread_experts first")
    size = dist.get_world_size(exchanges[0].group)
    own = torch.zeros(len(exchanges), size, dtype=torch.int64)

    def count(layer: int):
        def hook(module: nn.Module, inputs: tuple[Tensor, list[int], list[int]]) -> None:
            rows, sent, _ = inputs
            own[layer] += torch.tensor(sent) * rows.shape[1:].numel() * rows.element_size()

        return hook

    handles = [exchange.register_forward_pre_hook(count(layer)) for layer, exchange in enumerate(exchanges)]
    traffic = Traffic()
    try:
        yield traffic
    finally:
        for handle in handles:
            handle.remove()
    rows = [torch.empty_like(own) for _ in range(size)]
    dist.all_gather(rows, own)
    traffic.bytes = torch.stack(rows, dim=1).numpy()
