"""When two results count as the same, and in words where they differ.

Nothing here imports torch, so that the first lessons' checks start at once; tensors are recognized by their methods.
"""

import math
from numbers import Number
from typing import Any, SupportsFloat, cast

import numpy as np

from moe_lessons.languages.words import later, translate

RELATIVE, ABSOLUTE = 1e-4, 1e-6

_SHORT = 30  # characters up to which a list or an array is shown whole


def is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "requires_grad")


def is_float_tensor(value: Any) -> bool:
    return is_tensor(value) and value.is_floating_point()


def is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) or is_tensor(value)


def same(yours: Any, expected: Any) -> bool:
    """Equal in structure, shape, kind of number and, within rounding, in value."""
    if fault(yours, expected):
        return False
    if isinstance(expected, (list, tuple)):
        return all(same(mine, theirs) for mine, theirs in zip(yours, expected, strict=True))
    if isinstance(expected, Number) or is_array(expected):
        return bool(close(array(yours), array(expected)).all())
    return bool(yours == expected)


def alike(yours: Any, expected: Any) -> bool:
    """The same numbers in the same shape, whatever holds them: a list and a tensor, whole numbers and floats."""
    if yours is None or expected is None:
        return yours is expected
    mine, theirs = numbers(yours), numbers(expected)
    if mine is not None and theirs is not None:
        return mine.shape == theirs.shape and bool(close(mine, theirs).all())
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(yours, (list, tuple))
            and len(yours) == len(expected)
            and all(alike(a, b) for a, b in zip(yours, expected, strict=True))
        )
    return type(yours) is type(expected) and bool(yours == expected)


def reshaped(yours: Any, expected: Any) -> bool:
    """The same numbers, perhaps in another shape, or with the axes in reverse order."""
    mine, theirs = numbers(yours), numbers(expected)
    if alike(yours, expected) or mine is None or theirs is None or mine.size != theirs.size:
        return alike(yours, expected)
    flat = (mine.ravel(), mine.T.ravel()) if mine.T.shape == theirs.shape else (mine.ravel(),)
    return any(bool(close(values, theirs.ravel()).all()) for values in flat)


def numbers(value: Any) -> np.ndarray | None:
    """A number, an array, a tensor or a list of numbers, lists of lists included, as an array; None for all else."""
    if isinstance(value, Number) or is_array(value):
        return array(value)
    if isinstance(value, list) or (isinstance(value, tuple) and all(isinstance(part, Number) for part in value)):
        parts = [numbers(part) for part in value]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts) and len({part.shape for part in known}) <= 1:
            return np.array(known)
    return None


def fault(yours: Any, expected: Any) -> str:
    """What is wrong with a result before its numbers are looked at; empty if nothing is."""
    if isinstance(expected, (list, tuple)):
        kind = type(expected).__name__ if type(expected) in (list, tuple) else "tuple"
        if not isinstance(yours, (list, tuple)):
            only = next((i for i, part in enumerate(expected) if kind == "tuple" and same(yours, part)), None)
            if only is not None:
                return f"That is item {only} alone; a tuple of {len(expected)} was expected."
            if alike(yours, expected):
                return f"The numbers are right, but they come as {_article(yours)}; a {kind} was expected."
            return f"It returns {_article(yours)}, but a {kind} of {len(expected)} was expected."
        if len(yours) != len(expected):
            return f"It returns {_items(len(yours))}, but {_items(len(expected))} were expected."
        parts = (fault(mine, theirs) for mine, theirs in zip(yours, expected, strict=True))
        return next((f"In item {i}: {part}" for i, part in enumerate(parts) if part), "")
    if isinstance(expected, Number):
        if isinstance(yours, Number) or (is_array(yours) and yours.ndim == 0):
            return _not_finite(array(yours), array(expected))
        return _holder(yours, expected, "True or False" if isinstance(expected, bool) else "one number")
    if is_array(expected):
        if expected.ndim == 0 and isinstance(yours, (Number, np.generic)):
            return _not_finite(array(yours), array(expected))
        if is_tensor(yours) != is_tensor(expected) or not is_array(yours):
            return _holder(yours, expected, _article(expected))
        if tuple(yours.shape) != tuple(expected.shape):
            return _misshapen(array(yours), array(expected))
        if not _dtypes_fit(yours, expected):
            right = close(array(yours), array(expected)).all()
            have = "The numbers are right, but their dtype is" if right else "Its result has dtype"
            return f"{have} {_dtype(yours)}; {_dtype(expected)} was expected."
        return _not_finite(array(yours), array(expected))
    if type(yours) is not type(expected):
        return f"It returns {_article(yours)}, but {_article(expected)} was expected."
    return ""


_HAVE = later("you have {yours}, expected {right}")


def difference(yours: Any, expected: Any) -> str:
    """The first place where two results of the same structure differ: `you have 2, expected 2.5`."""
    if isinstance(expected, (list, tuple)):
        if numbers(expected) is not None:
            texts = show(yours), show(expected)
            if texts[0] != texts[1] and max(map(len, texts)) <= _SHORT:
                return translate(_HAVE, yours=texts[0], right=texts[1])
        at = next(i for i, pair in enumerate(zip(yours, expected, strict=True)) if not same(*pair))
        return translate("in item {at} {rest}", at=at, rest=difference(yours[at], expected[at]))
    if is_array(expected) and expected.ndim:
        mine, theirs = array(yours), array(expected)
        texts = show(mine), show(theirs)
        if texts[0] != texts[1] and max(map(len, texts)) <= _SHORT and theirs.size <= 8:
            return translate(_HAVE, yours=texts[0], right=texts[1])
        at = tuple(int(i) for i in np.argwhere(~close(mine, theirs))[0])
        have, want = _apart(mine[at].item(), theirs[at].item())
        return translate("at {at} you have {yours}, expected {right}", at=list(at), yours=have, right=want)
    have, want = _apart(yours, expected)
    return translate(_HAVE, yours=have, right=want)


def show(value: Any, limit: int = 72) -> str:
    """A value in a few characters, the same on every machine."""
    if is_array(value):
        if value.ndim == 0:
            return show(array(value).item())
        if math.prod(value.shape) > 8:
            return f"shape {list(value.shape)}"
        return show(array(value).tolist(), limit)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        text = ", ".join(show(item) for item in value)
        text = f"({text}{',' if len(value) == 1 else ''})" if isinstance(value, tuple) else f"[{text}]"
    else:
        text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."


def close(yours: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape agree."""
    if "f" in (expected.dtype.kind, yours.dtype.kind):
        return np.isclose(yours, expected, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    return np.asarray(yours == expected)


def array(value: Any) -> np.ndarray:
    """A number, an array or a tensor as NumPy's."""
    if is_tensor(value):
        value = value.detach().cpu()
        # NumPy has no bfloat16
        return value.double().numpy() if value.is_floating_point() else value.numpy()
    if isinstance(value, int) and abs(value) >= 2**63:
        value = float(value)
    elif isinstance(value, Number) and not isinstance(value, (int, float, complex, np.generic)):
        value = float(cast(SupportsFloat, value))  # Fraction and Decimal
    return np.asarray(value)


def _apart(yours: Any, expected: Any) -> tuple[str, str]:
    """Two values that differ, with as many digits as it takes to see it."""
    have, want = show(yours), show(expected)
    if have == want and all(
        isinstance(value, Number) or (is_array(value) and value.ndim == 0) for value in (yours, expected)
    ):
        pair = float(array(yours)), float(array(expected))
        for digits in range(5, 18):
            have, want = (f"{value:.{digits}g}" for value in pair)
            if have != want:
                break
    return have, want


def _dtypes_fit(yours: Any, expected: Any) -> bool:
    """More digits than asked for do no harm, and NumPy counts with any number; but an index must be a whole number."""
    mine, theirs = array(yours).dtype.kind, array(expected).dtype.kind
    if not is_tensor(expected):
        return mine == theirs or (mine in "iuf" and theirs in "iuf")
    if is_float_tensor(expected):
        return mine == "f" and yours.element_size() >= expected.element_size()
    return mine == theirs or (mine in "iu" and theirs in "iu")


def _holder(yours: Any, expected: Any, wanted: str) -> str:
    """The sentence for a result in the wrong kind of container."""
    if isinstance(yours, tuple):
        found = next((i for i, part in enumerate(yours) if same(part, expected)), None)
        if found is not None:
            return f"It returns {_article(yours)}, of which item {found} is what was expected; return it alone."
    if alike(yours, expected):
        return f"The numbers are right, but they come as {_article(yours)}; {wanted} was expected."
    return f"It returns {_article(yours)}, but {wanted} was expected."


def _misshapen(yours: np.ndarray, expected: np.ndarray) -> str:
    """The sentence for a wrong shape, and whether the numbers are right all the same."""
    have, want = list(yours.shape), list(expected.shape)
    if yours.ndim > 1 and yours.T.shape == expected.shape and close(yours.T, expected).all():
        return f"Its result is transposed: it has shape {have}, but {want} was expected."
    if yours.size == expected.size and close(yours.ravel(), expected.ravel()).all():
        return f"The numbers are right, but in shape {have}; {want} was expected."
    return f"Its result has shape {have}, but {want} was expected."


def _not_finite(yours: np.ndarray, expected: np.ndarray) -> str:
    for word, test, cause in (
        ("NaN (not a number)", np.isnan, "look for 0 / 0, the log of 0 times 0, or a softmax over -inf alone"),
        ("an infinity", np.isinf, "look for a division by zero, a log of zero or a mask that stayed"),
    ):
        if yours.dtype.kind == "f" and test(yours).any() and not (expected.dtype.kind == "f" and test(expected).any()):
            return f"Its result holds {word}; {cause}."
    return ""


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
    kind = type(value).__name__
    return name.get(kind, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}")
