"""What a computation does, counted and not timed: products, bytes in and out, memory asked for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moe_lessons.model.threads import on_threads

_aten = torch.ops.aten
#: Operations that multiply matrices, with the places of the two among their arguments. A name that ends in _ adds the
#: product to what its first argument holds.
_PRODUCTS = {
    **dict.fromkeys((_aten.mm, _aten.bmm, _aten._grouped_mm), (0, 1)),
    **dict.fromkeys((_aten.addmm, _aten.addmm_, _aten.baddbmm, _aten.baddbmm_), (1, 2)),
}
_IDLE = {_aten.empty, _aten.empty_like, _aten.new_empty, _aten.empty_strided, _aten.new_empty_strided}


class Tally(NamedTuple):
    """The work of one call, backward pass included where the call makes one; the same on every machine."""

    flops: int  # of matrix products, two for each multiply-add
    moved: int  # bytes: every operand of every operation read once, every result written once, as without caches
    made: int  # bytes of new memory
    operations: int


def tally(function: Callable[[], object]) -> Tally:
    """Call the function once and count what it does. Views, and memory that is only asked for, move nothing.

    Counted on one thread of the CPU: work that is handed to others would not be seen.
    """
    with on_threads(1), _Counter() as counter:
        function()
    return Tally(counter.flops, counter.moved, counter.made, counter.operations)


class _Counter(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: nothing is compiled here, and torch would load its whole compiler, 45 MB, in order to skip it."""
        return False

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.moved = self.made = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        targets = {argument.name for argument in func._schema.arguments if argument.is_out}
        read = _tensors((args, {name: value for name, value in (kwargs or {}).items() if name not in targets}))
        written = _tensors(result)
        known = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
        new = [tensor for tensor in written if tensor.untyped_storage().data_ptr() not in known]
        self.made += _bytes(new)
        if (new or func._schema.is_mutable) and func.overloadpacket not in _IDLE:
            self.moved += _bytes(read) + _bytes(written)
            self.operations += 1
            self.flops += _flops(func.overloadpacket, args)
        return result


def _flops(operation: Any, args: tuple) -> int:
    if operation not in _PRODUCTS:
        return 0
    left, right = (args[place] for place in _PRODUCTS[operation])
    # In a grouped product, every row of the left meets one matrix of the right, or every column one group of rows.
    return 2 * left.numel() * right.shape[-1]


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
