"""Building layers whose weights nobody will read, without drawing them."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode


class NoInitialization(TorchFunctionMode):
    """Leaves out torch.nn.init: for weights on `meta`, it would load torch's compiler: seconds, and 70 megabytes."""

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)
