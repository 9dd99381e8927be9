"""What wrong results have in common, over all cases: a factor, an order, an offset, a rounding.

Each rule looks at all numbers of all cases and speaks only where it holds for every one of them, so that its sentence
is true whatever the cause. One expected number alone is no pattern: any wrong number is a multiple of it.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from numbers import Number
from typing import Any, SupportsFloat, cast

import numpy as np

from moe_lessons.exercises.compare import alike, array, close, is_array, numbers

_MEANING = {  # what a factor often comes from
    0.01: "a share where a percentage is wanted",
    100.0: "a percentage where a share is wanted",
    1 / np.log(2): "a logarithm to the base 2",
    np.log(2): "a logarithm to another base",
    1 / np.log(10): "a logarithm to the base 10",
    3600.0: "seconds where hours are wanted",
    1 / 3600: "hours where seconds are wanted",
    60.0: "minutes where hours are wanted",
    8.0: "bits where bytes are wanted",
    0.125: "bytes where bits are wanted",
}


def pattern(yours: Sequence[Any], expected: Sequence[Any], arguments: Sequence[dict[str, Any]]) -> str:
    """One sentence on what all results have in common with the expected ones; empty if nothing is found.

    `arguments` holds the cases' arguments by name: a factor may be one of them.
    """
    if all(isinstance(part, tuple) and numbers(part) is None for part in expected) or _several(expected):
        return _of_tuples(yours, expected, arguments)
    mine, theirs = [numbers(value) for value in yours], [numbers(value) for value in expected]
    return _of_arrays(mine, theirs, arguments)


def _several(expected: Sequence[Any]) -> bool:
    return all(isinstance(value, tuple) and len(value) == len(expected[0]) > 1 for value in expected)


def _of_tuples(yours: Sequence[Any], expected: Sequence[Any], arguments: Sequence[dict[str, Any]]) -> str:
    count = len(expected[0])
    if not all(isinstance(value, (list, tuple)) and len(value) == count for value in yours):
        return ""
    columns = [([v[i] for v in yours], [v[i] for v in expected]) for i in range(count)]
    parts = [([numbers(a) for a in mine], [numbers(b) for b in theirs]) for mine, theirs in columns]
    if all(_fit(*part) for part in parts):
        mine = [a for part in parts for a in part[0] if a is not None]
        theirs = [b for part in parts for b in part[1] if b is not None]
        found = _factor(mine, theirs, arguments)
        if found:
            return found
    for order in list(permutations(range(count)))[1:]:
        if count <= 4 and all(alike([v[i] for i in order], list(w)) for v, w in zip(yours, expected, strict=True)):
            if count == 2:
                return "The two parts of the result are swapped."
            return f"The parts of the result are in the wrong order: what was expected are your items {list(order)}."
    wrong = [i for i, part in enumerate(columns) if not all(alike(a, b) for a, b in zip(*part, strict=True))]
    if len(wrong) != 1:
        return ""
    found = _of_arrays(*parts[wrong[0]], arguments)
    found = found.replace("All your results", "All its numbers").replace("Your results", "Its numbers")
    return f"Only item {wrong[0]} of the result is wrong. {found}" if found else ""


def _of_arrays(mine: Sequence[Any], theirs: Sequence[Any], arguments: Sequence[dict[str, Any]]) -> str:
    if not _fit(mine, theirs):
        return ""
    if all(b.dtype.kind == "b" for b in theirs):
        return _truth(mine, theirs)
    if any("b" in (a.dtype.kind, b.dtype.kind) for a, b in zip(mine, theirs, strict=True)):
        return ""
    return (
        _factor(mine, theirs, arguments)
        or _argument(mine, theirs, arguments)
        or _order(mine, theirs)
        or _offset(mine, theirs)
        or _function(mine, theirs)
        or _rows(mine, theirs)
        or _rounding(mine, theirs)
    )


def _fit(mine: Sequence[Any], theirs: Sequence[Any]) -> bool:
    """Whether both are real finite numbers in the same shapes."""
    return all(
        a is not None and b is not None and a.shape == b.shape
        and a.dtype.kind in "biuf" and b.dtype.kind in "biuf" and np.isfinite(a).all()
        for a, b in zip(mine, theirs, strict=True)
    )  # fmt: skip


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([a.ravel().astype(float) for a in arrays])


def _distinct(values: np.ndarray) -> bool:
    return len(values) > 1 and not np.isclose(values, values[0], rtol=1e-3, atol=1e-9).all()


def _factor(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], arguments: Sequence[dict[str, Any]]) -> str:
    a, b = _flat(mine), _flat(theirs)
    if not _distinct(np.abs(b[b != 0])):
        return ""
    factor = float(np.median(a[b != 0] / b[b != 0]))
    if factor == 0 or abs(factor - 1) < 2e-3 or not np.allclose(a, factor * b, rtol=1e-4, atol=abs(factor) * 1e-6):
        return ""
    if abs(factor + 1) < 1e-3:
        return "All your results have the wrong sign."
    cause = next((f" ({words}?)" for known, words in _MEANING.items() if abs(factor / known - 1) < 1e-3), "")
    for name, values in _sizes(arguments).items():
        if abs(factor) > 8 and not cause and np.allclose(values, factor, rtol=1e-3):
            cause = f" ({name}?)"
    return f"All your results are {_times(factor)} what was expected{cause}."


def _times(factor: float) -> str:
    for value, text in ((factor, "{} times"), (1 / factor, "1/{} of")):
        if value >= 1.5 and abs(value - round(value)) < 1e-3 * value:
            return text.format(round(value) if value < 1e9 else f"{value:.4g}")
    return f"{factor:.4g} times"


def _argument(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray], arguments: Sequence[dict[str, Any]]) -> str:
    """Whether each case has a factor of its own, which is one of its arguments or an axis of one."""
    factors = []
    for a, b in zip(mine, theirs, strict=True):
        a, b = a.ravel().astype(float), b.ravel().astype(float)
        if not (b != 0).any() or not (a != 0).any():
            factors.append(None)  # says nothing
            if not np.allclose(a, b):
                return ""
            continue
        factor = float(np.median(a[b != 0] / b[b != 0]))
        if factor <= 0 or not np.allclose(a, factor * b, rtol=1e-4, atol=factor * 1e-6):
            return ""
        factors.append(factor)
    known = [i for i, factor in enumerate(factors) if factor is not None]
    found = np.array([factors[i] for i in known])
    if len(known) < 3 or not _distinct(found):
        return ""
    for name, values in _sizes([arguments[i] for i in known]).items():
        for power, text in (
            (1, "times {}"),
            (-1, "divided by {}"),
            (0.5, "times the root of {}"),
            (-0.5, "divided by the root of {}"),
        ):
            if _distinct(values) and np.allclose(found, values**power, rtol=1e-3):
                return f"In every case you have what was expected {text.format(name)}."
    return ""


def _sizes(arguments: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The positive numbers that the cases' arguments hold: whole arguments, and the lengths of axes."""
    found: dict[str, list[float]] = {}
    for given in arguments:
        for name, value in given.items():
            if isinstance(value, Number) and not isinstance(value, bool):
                found.setdefault(name, []).append(float(cast(SupportsFloat, value)))
            elif is_array(value):
                for axis, size in enumerate(value.shape):
                    found.setdefault(f"{name}.shape[{axis}]", []).append(float(size))
            elif isinstance(value, (list, tuple, str)):
                found.setdefault(f"len({name})", []).append(float(len(value)))
    values = {name: np.array(sizes) for name, sizes in found.items() if len(sizes) == len(arguments)}
    return {name: sizes for name, sizes in values.items() if (sizes > 0).all()}


def _order(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    pairs = [(a, b) for a, b in zip(mine, theirs, strict=True) if b.ndim]
    if len(pairs) < len(mine) or not all(_close(np.sort(a, axis=None), np.sort(b, axis=None)) for a, b in pairs):
        return ""
    for rule, words in _REARRANGED:
        if all(_close(rule(a), b) for a, b in pairs):
            return f"These are the right numbers, but {words}."
    if all(b.ndim > 1 and _close(np.sort(a, axis=-1), np.sort(b, axis=-1)) for a, b in pairs):
        return "Every row holds the right numbers, but in another order."
    return "These are the right numbers, but in another order."


_REARRANGED: tuple[tuple[Callable[[np.ndarray], np.ndarray], str], ...] = (
    (lambda a: np.flip(a, axis=-1), "each row is in reverse order"),
    (lambda a: np.flip(a, axis=0), "the first axis is in reverse order"),
)


def _offset(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    a, b = _flat(mine), _flat(theirs)
    if not _distinct(b):
        return ""
    by = float(np.median(a - b))
    if abs(by) < 1e-3 or not np.allclose(a - b, by, rtol=1e-4, atol=1e-6 * max(1.0, float(np.abs(b).max()))):
        return ""
    return f"All your results are {abs(by):.4g} too {'large' if by > 0 else 'small'}."


_FUNCTIONS: tuple[tuple[Callable[[np.ndarray], np.ndarray], str], ...] = (
    (lambda b: 1 / b, "1 divided by"),
    (lambda b: 1 - b, "1 minus"),
    (np.abs, "the amount, without its sign, of"),
    (np.exp, "e to the power of"),
    (np.log, "the logarithm of"),
    (np.square, "the square of"),
    (np.sqrt, "the root of"),
)


def _function(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    a, b = _flat(mine), _flat(theirs)
    if not _distinct(b):
        return ""
    with np.errstate(all="ignore"):
        for function, words in _FUNCTIONS:
            if np.allclose(a, function(b), rtol=1e-4, atol=1e-6) and not np.allclose(a, b, rtol=1e-3, atol=1e-6):
                return f"In every case you have {words} what was expected."
    return ""


def _rows(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    """Whether each row has a factor of its own, as where it is normalized in another way."""
    if not all(b.ndim == 2 and a.dtype.kind == "f" and len(b) for a, b in zip(mine, theirs, strict=True)):
        return ""
    factors = []
    for a, b in zip(_lines(mine), _lines(theirs), strict=True):
        full = b != 0
        if full.sum() < 2 or not a[full].all():
            if not np.allclose(a, b):
                return ""
            continue
        factor = float(np.median(a[full] / b[full]))
        if not np.allclose(a, factor * b, rtol=1e-4, atol=abs(factor) * 1e-6):
            return ""
        factors.append(factor)
    if len(factors) < 3 or np.abs(np.array(factors) - 1).max() < 0.01:
        return ""
    return "Each row is off by a factor of its own; look at what it is divided by or multiplied with."


def _lines(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [row.astype(float) for a in arrays for row in a]


def _rounding(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    a, b = _flat(mine), _flat(theirs)
    if len(a) < 2 or not _distinct(b):
        return ""
    if not a.any() and (np.abs(b) < 1).all():
        return "Your results are all 0: does // or int() cut them down to whole numbers?"
    if (a == np.trunc(b)).all():
        return "Your results are cut down to whole numbers; keep what is behind the point."
    if (a == np.ceil(b)).all() and a.max() > 1:
        return "Your results are rounded up to whole numbers; keep what is behind the point."
    for digits in range(5):
        # numbers of less precision carry their own small error
        if np.abs(a - np.round(b, digits)).max() < 1e-7 * max(1.0, float(np.abs(b).max())):
            return f"Your results are rounded to {_places(digits)}; return them as they are."
    if (np.abs(a - b) <= 0.01 * np.abs(b)).all():
        return (
            "Your results are off by less than 1% everywhere: is a constant, an epsilon or the precision another one?"
        )
    return ""


def _places(digits: int) -> str:
    return ("whole numbers", "one decimal")[digits] if digits < 2 else f"{digits} decimals"


def _truth(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    if any(a.dtype.kind != "b" for a in mine):
        return ""
    a, b = (np.concatenate([x.ravel() for x in part]) for part in (mine, theirs))
    if (a != b).all() and len(a) > 1:
        return "Every answer is the opposite of what was expected."
    if len(a) > 2 and (a == a[0]).all():
        return f"Every answer is {bool(a[0])}, whatever the input."
    if (a | ~b).all():
        return "You have True wherever that is right, and in cases where False is right as well."
    if (b | ~a).all():
        return "You have False wherever that is right, and in cases where True is right as well."
    return ""


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(close(array(a), array(b)).all())
