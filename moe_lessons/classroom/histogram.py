"""A question with the room's answers: counts in bins, and the measurement once it may be seen."""

from collections import Counter
from collections.abc import Iterable
from statistics import median, mode
from typing import Any

from moe_lessons.classroom.room import Asked
from moe_lessons.predictions.calibration import is_right
from moe_lessons.predictions.question import Question

BINS = 20
HALF = 0.5  # of the room: from then on the measurement is shown


def histogram(one: Question, asked: Asked, room: int, measured: Iterable[float] = ()) -> dict[str, Any]:
    """What the board draws of one question; nobody's answer can be told from it but by counting.

    `measured` has what the room's own machines found. It is left out until half of the room has answered or the teacher
    shows it. Answers that were given after it stood on somebody's page are counted apart.
    """
    places = sorted(measured)
    given = [answer for answer, late in asked.answers.values() if not late]
    shown = asked.shown or (bool(given) and len(given) >= HALF * room)
    return {
        **{name: getattr(one, name) for name in ("key", "ask", "kind", "measure", "unit", "low", "high", "log")},
        "choices": list(one.choices),
        "answered": len(given),
        "late": len(asked.answers) - len(given),
        "room": room,
        "bins": _choices(one, given) if one.kind == "choice" else _bins(one, given),
        "places": _places(one) <= BINS,
        "shown": shown,
        "measured": _measured(places) if shown and places else None,
        "right": sum(is_right(one, answer, _typical(one, places)) for answer in given) if shown and places else None,
    }


def _choices(one: Question, given: list[float]) -> list[int]:
    counts = Counter(int(answer) for answer in given)
    return [counts[place] for place in range(len(one.choices))]


def _bins(one: Question, given: list[float]) -> list[int]:
    """Counts in equal parts of the scale; as many as the slider has places, where those are few."""
    places = _places(one)
    bins = min(places, BINS)
    counts = Counter(min(bins - 1, int(_at(one, answer, places) * bins)) for answer in given)
    return [counts[place] for place in range(bins)]


def _places(one: Question) -> int:
    """How many answers a scale of equal steps has; more than there are bins for a scale of ratios."""
    return BINS + 1 if one.log else round((one.high - one.low) / one.step) + 1


def _at(one: Question, value: float, places: int) -> float:
    """Where a value lies on the scale, from 0 to 1; a place of a short slider in the middle of its bin."""
    share = one.share(value)
    return (share * (places - 1) + 0.5) / places if places <= BINS else share


def _measured(places: list[float]) -> dict[str, Any]:
    """What the room's machines found: how many they are, and the lowest and the highest."""
    return {"machines": len(places), "low": places[0], "high": places[-1], "places": sorted(set(places))[:BINS]}


def _typical(one: Question, places: list[float]) -> float:
    """What an answer is compared with: what most machines found of choices, the middle one of numbers."""
    return mode(places) if one.kind == "choice" else median(places)
