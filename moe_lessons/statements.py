"""`measured`: a lesson's statement, with the number that it rests on beside it.

A sentence of a lesson says something about a quantity: that it is above, below or within a bound. `measured` prints
the quantity, its value, the bound and whether it holds. Tests compare everything but the value's digits with what the
lesson shows (tests/sanitize.cfg), and `make robust` collects the values over many machines and seeds.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

RECORD = "MOE_LESSONS_STATEMENTS"  # a file that gets one line of JSON for each statement
_LISTED = 5  # values shown one by one; of more, the smallest and the largest
_MOST_DIGITS = 6


class Bound(NamedTuple):
    """What a sentence needs of its quantity."""

    kind: str
    limits: tuple[float, ...]


class _Kind(NamedTuple):
    words: str  # with a place for each limit
    holds: Callable[..., bool]


_KINDS = {
    "above": _Kind("more than {}", lambda value, low: value > low),
    "below": _Kind("less than {}", lambda value, high: value < high),
    "at_least": _Kind("at least {}", lambda value, low: value >= low),
    "at_most": _Kind("at most {}", lambda value, high: value <= high),
    "between": _Kind("between {} and {}", lambda value, low, high: low <= value <= high),
    "exactly": _Kind("exactly {}", lambda value, wanted: value == wanted),
}


def measured(
    words: str,
    value: Any,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    between: tuple[float, float] | None = None,
    exactly: float | None = None,
    unit: str = "",
) -> None:
    """Print what was measured, the bound that the lesson's sentence needs, and whether it holds.

    `value` is a number, or several (a list, an array, a tensor, or a mapping from names to numbers), each of which
    must hold. Exactly one bound is given, as a plain number of the lesson's. With the unit "%" a share of 0.31 reads
    31%; any other unit follows the number.

    >>> measured("choices changed by temperature 2", 0.3125, above=0.05, unit="%")
    choices changed by temperature 2: 31% (the sentence needs more than 5%)
    >>> measured("gained", {"dense": 0.21, "sparse": 0.03}, at_least=0.05, unit="nats")
    gained: dense 0.21, sparse 0.030 nats (on this machine not so: the sentence needs at least 0.05 nats each)

    Raises ValueError for words with a line break or a value that is no number, and TypeError for a truth value: a
    statement shows the number that it rests on.
    """
    given = {
        "above": above,
        "below": below,
        "at_least": at_least,
        "at_most": at_most,
        "between": between,
        "exactly": exactly,
    }
    bound = _bound(words, {kind: limit for kind, limit in given.items() if limit is not None})
    names, values = _numbers(words, value)
    true = all(holds(bound.kind, bound.limits, v) for v in values)
    several = not _is_one(value)
    needs = f"the sentence needs {_needed(bound, unit)}{' each' if several else ''}"
    print(f"{words}: {_shown(names, values, bound, unit)} ({'' if true else 'on this machine not so: '}{needs})")
    if path := os.environ.get(RECORD):
        line = {"words": words, "values": values, "bound": bound.kind, "limits": bound.limits, "unit": unit}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"holds": true}) + "\n")


def holds(kind: str, limits: Sequence[float], value: float) -> bool:
    """Whether a value keeps a bound; what is not a number keeps none."""
    return not math.isnan(value) and _KINDS[kind].holds(value, *limits)


def _bound(words: str, given: Mapping[str, Any]) -> Bound:
    if "\n" in words or not words.strip():
        raise ValueError(f"the words {words!r} must be one line that names the quantity; shorten them")
    if len(given) != 1:
        named = ", ".join(given) or "none"
        raise ValueError(f"{words!r} has these bounds: {named}; give exactly one of {', '.join(_KINDS)}")
    ((kind, limit),) = given.items()
    limits = tuple(limit) if kind == "between" else (limit,)
    if len(limits) != (2 if kind == "between" else 1) or list(limits) != sorted(limits):
        raise ValueError(f"{words!r} has the bound {kind}={limit!r}; between takes a low and a high number")
    return Bound(kind, tuple(float(one) for one in limits))


def _is_one(value: Any) -> bool:
    return not isinstance(value, (Mapping, Sequence)) and not getattr(value, "ndim", 0)


def _numbers(words: str, value: Any) -> tuple[list[str], list[float]]:
    """Names, empty where there are none, and values."""
    if isinstance(value, Mapping):
        names, parts = [str(name) for name in value], list(value.values())
    elif _is_one(value):
        names, parts = [], [value]
    else:
        flat = value.reshape(-1).tolist() if hasattr(value, "reshape") else list(value)
        names, parts = [], flat
    parts = [part.item() if hasattr(part, "item") else part for part in parts]
    if any(isinstance(part, bool) for part in parts):
        raise TypeError(f"{words!r} was handed a truth value; hand over the number that it rests on")
    if not parts or not all(isinstance(part, (int, float)) for part in parts):
        raise ValueError(f"{words!r} was handed {value!r}; hand over a number, or several")
    if any(":" in name for name in names):
        raise ValueError(f"{words!r} has values named {names}; a name holds no colon")
    return names, [float(part) for part in parts]


def _needed(bound: Bound, unit: str) -> str:
    return _with_unit(_KINDS[bound.kind].words.format(*(_plain(limit * _scale(unit)) for limit in bound.limits)), unit)


def _shown(names: list[str], values: list[float], bound: Bound, unit: str) -> str:
    """Every number with its percent sign; another unit stands once, at the end."""
    texts = [_tell(value, bound, unit) + ("%" if unit == "%" else "") for value in values]
    if names:
        shown = ", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    elif len(values) > _LISTED:
        low, high = values.index(min(values)), values.index(max(values))
        shown = f"{len(values)} values from {texts[low]} to {texts[high]}"
    else:
        shown = ", ".join(texts)
    return shown if unit == "%" else _with_unit(shown, unit)


def _tell(value: float, bound: Bound, unit: str) -> str:
    """Two digits that count, or as many as show on which side of the bound the value lies."""
    scale = _scale(unit)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value * scale) < 1e15:
        return _plain(value * scale)
    limits = [limit * scale for limit in bound.limits]
    for digits in range(2, _MOST_DIGITS + 1):
        text = _rounded(value * scale, digits)
        if holds(bound.kind, limits, float(text.replace(",", ""))) == holds(bound.kind, bound.limits, value):
            return text
    return repr(value * scale)


def _rounded(value: float, digits: int) -> str:
    size = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{digits - 1}e}" if size < -5 else f"{value:,.{max(0, digits - 1 - size)}f}"


def _plain(value: float) -> str:
    """A number as a person writes it: 5, 0.05, 1,000, 1e-06."""
    value = round(value, 12)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:g}"


def _scale(unit: str) -> float:
    return 100.0 if unit == "%" else 1.0


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{unit}" if unit == "%" or not unit else f"{text} {unit}"
