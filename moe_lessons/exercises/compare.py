"""When two results count as the same, and in words where they differ.

Nothing here imports torch, so that the first lessons' checks start at once; tensors are recognized by their methods.
"""

import math
from numbers import Number
from typing import Any

import numpy as np

RELATIVE, ABSOLUTE = 1e-4, 1e-6


def is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "requires_grad")


def is_float_tensor(value: Any) -> bool:
    return is_tensor(value) and value.is_floating_point()


def same(yours: Any, expected: Any) -> bool:
    """Equal in structure, shape, kind of number and, within rounding, in value."""
    if fault(yours, expected):
        return False
    if isinstance(expected, (list, tuple)):
        return all(same(mine, theirs) for mine, theirs in zip(yours, expected, strict=True))
    if isinstance(expected, Number) or _is_array(expected):
        return bool(_close(_array(yours), _array(expected)).all())
    return yours == expected


def fault(yours: Any, expected: Any) -> str:
    """What is wrong with a result before its numbers are looked at; empty if nothing is."""
    if isinstance(expected, (list, tuple)):
        kind = type(expected).__name__ if type(expected) in (list, tuple) else "tuple"
        if not isinstance(yours, (list, tuple)):
            return f"It returns {_article(yours)}, but a {kind} of {len(expected)} was expected."
        if len(yours) != len(expected):
            return f"It returns {_items(len(yours))}, but {_items(len(expected))} were expected."
        parts = (fault(mine, theirs) for mine, theirs in zip(yours, expected, strict=True))
        return next((f"In item {i}: {part}" for i, part in enumerate(parts) if part), "")
    if isinstance(expected, Number):
        if isinstance(yours, Number) or (_is_array(yours) and yours.ndim == 0):
            return _not_finite(_array(yours), _array(expected))
        return f"It returns {_article(yours)}, but one number was expected."
    if _is_array(expected):
        if is_tensor(yours) != is_tensor(expected) or not _is_array(yours):
            return f"It returns {_article(yours)}, but {_article(expected)} was expected."
        if tuple(yours.shape) != tuple(expected.shape):
            return f"Its result has shape {list(yours.shape)}, but {list(expected.shape)} was expected."
        if _array(yours).dtype.kind != _array(expected).dtype.kind or (
            is_float_tensor(expected) and yours.dtype != expected.dtype
        ):
            return f"Its result has dtype {_dtype(yours)}, but {_dtype(expected)} was expected."
        return _not_finite(_array(yours), _array(expected))
    if type(yours) is not type(expected):
        return f"It returns {_article(yours)}, but {_article(expected)} was expected."
    return ""


def difference(yours: Any, expected: Any) -> str:
    """The first place where two results of the same structure differ: `you have 2, expected 2.5`."""
    if isinstance(expected, (list, tuple)):
        if len(show(expected)) <= 60:
            return f"you have {show(yours)}, expected {show(expected)}"
        at = next(i for i, pair in enumerate(zip(yours, expected, strict=True)) if not same(*pair))
        return f"in item {at} {difference(yours[at], expected[at])}"
    if _is_array(expected) and expected.ndim:
        mine, theirs = _array(yours), _array(expected)
        at = tuple(int(i) for i in np.argwhere(~_close(mine, theirs))[0])
        return f"at {list(at)} you have {show(mine[at])}, expected {show(theirs[at])}"
    return f"you have {show(yours)}, expected {show(expected)}"


def show(value: Any) -> str:
    """A value in a few characters, the same on every machine."""
    if _is_array(value):
        if value.ndim == 0:
            return show(_array(value).item())
        if math.prod(value.shape) > 8:
            return f"shape {list(value.shape)}"
        return show(_array(value).tolist())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        text = ", ".join(show(item) for item in value)
        text = f"({text}{',' if len(value) == 1 else ''})" if isinstance(value, tuple) else f"[{text}]"
    else:
        text = repr(value)
    return text if len(text) <= 72 else f"{text[:68]} ..."


def _close(yours: np.ndarray, expected: np.ndarray) -> np.ndarray:
    if expected.dtype.kind == "f" or yours.dtype.kind == "f":
        return np.isclose(yours, expected, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return yours == expected


def _not_finite(yours: np.ndarray, expected: np.ndarray) -> str:
    for word, test in (("NaN (not a number)", np.isnan), ("an infinity", np.isinf)):
        if yours.dtype.kind == "f" and test(yours).any() and not (expected.dtype.kind == "f" and test(expected).any()):
            return f"Its result holds {word}; look for a division by zero, a log of zero or a row that is all -inf."
    return ""


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) or is_tensor(value)


def _array(value: Any) -> np.ndarray:
    if is_tensor(value):
        value = value.detach().cpu()
        # NumPy has no bfloat16
        return value.double().numpy() if value.is_floating_point() else value.numpy()
    if isinstance(value, int) and abs(value) >= 2**63:
        value = float(value)
    return np.asarray(value)


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _article(value: Any) -> str:
    if is_tensor(value):
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of shape {list(value.shape)}"
    if value is None:
        return "None"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, tuple):  # also what torch.topk returns
        return f"a tuple of {len(value)}"
    name = {"int": "a whole number", "str": "a string", "bool": "a truth value", "float": "a number"}
    return name.get(type(value).__name__, f"a {type(value).__name__}")
