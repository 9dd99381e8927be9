"""A question of a lesson, as `data/predictions/NN.toml` holds it: what is asked, and what measurement answers it."""

import math
import re
import tomllib
from bisect import bisect_right
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

from moe_lessons.languages.words import singular, translate
from moe_lessons.resources import data_path

KEY = re.compile(r"\d\d\.[a-z][a-z0-9_]{0,39}")
KINDS = ("choice", "slider", "number")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question. Numbers are as a reader sees them: a share in percent lies between 0 and 100.

    A choice whose measurement is a number has `cuts`, which part it: below the first cut the first choice is right.
    A number counts as right within a distance (`within`) or a factor (`factor`) of the measurement.
    """

    key: str
    ask: str
    kind: str
    measure: str  # what is measured, in a few words
    expected: tuple[
        Any, ...
    ]  # of the lesson's own run: the lowest and highest number, or the choices that may be right
    choices: tuple[str, ...] = ()
    cuts: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 1.0
    log: bool = False  # a slider whose steps are ratios
    unit: str = ""
    within: float = 0.0
    factor: float = 0.0

    @property
    def lesson(self) -> str:
        return self.key[:2]

    def sent(self) -> dict[str, Any]:
        """What the front end gets: plain JSON, in the language that is spoken."""
        facts = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items() if name != "expected"}
        said = {name: translate(getattr(self, name)) for name in ("ask", "unit", "measure")}
        if said["unit"] != self.unit:
            said["one"] = translate(singular(self.unit))
        return {**facts, **said, "choices": [translate(one) for one in self.choices]}

    def place(self, value: Any) -> float:
        """A measurement as what can be compared with an answer: a choice's index, or the number that a reader sees.

        Raises ValueError for what is no choice of the question, no number, or not finite.
        """
        if isinstance(value, str):
            if value not in self.choices:
                raise ValueError(f"{self.key} was measured as {value!r}; its choices are: {', '.join(self.choices)}")
            return float(self.choices.index(value))
        number = self.number(value)
        if self.kind != "choice":
            return number
        if not self.cuts:
            raise ValueError(f"{self.key} was measured as {value}; hand over one of: {', '.join(self.choices)}")
        return float(bisect_right(self.cuts, number))

    def number(self, value: Any) -> float:
        """A measured number, as a reader sees it."""
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{self.key} was measured as {value!r}; hand over one finite number, or a choice's words")
        return 100.0 * value if self.unit == "%" else float(value)

    def share(self, number: float) -> float:
        """Where a number lies on the scale: 0 at its lower end, 1 at its upper one, never beyond."""
        low, high = self.low, self.high
        if self.log:
            low, high, number = math.log(low), math.log(high), math.log(max(number, low))
        return min(1.0, max(0.0, (number - low) / (high - low)))

    def shown(self, place: float) -> str:
        """An answer or a measurement in words; front ends say the same (`rule.js`)."""
        if self.kind == "choice":
            return translate(self.choices[int(place)])
        return with_unit(rounded(place), self.unit)

    def measured_as(self, value: Any) -> str:
        """A measurement in words: a choice's own, with the number that it rests on where there is one."""
        said = self.shown(self.place(value))
        if self.kind == "choice" and not isinstance(value, str):
            return f"{said} ({with_unit(rounded(self.number(value)), self.unit)})"
        return said


def rounded(number: float) -> str:
    """Three digits that count, whole numbers from a thousand on; 0.0005 is 0.0005."""
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,f}"  # as JavaScript rounds
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_unit(text: str, unit: str) -> str:
    """A number in words with its unit, which is a plural as questions name it: "4 experts", "1 expert", "8%"."""
    if unit == "%" or not unit:
        return text + unit
    return f"{text} {translate(singular(unit) if text == '1' else unit)}"


def question(key: str) -> Question:
    """The question of this key; ValueError, naming those that there are, where there is none."""
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ValueError(
            f"the key {str(key)[:60]!r} names no question; give a lesson and a name, such as '05.one_sheet'"
        )
    lesson = questions_of(key[:2])
    if key not in lesson:
        raise ValueError(f"there is no question {key!r}; those of its lesson are: {', '.join(lesson)}")
    return lesson[key]


def questions_of(lesson: str) -> dict[str, Question]:
    """A lesson's questions by key, in the order of the lesson.

    Raises ValueError where the lesson has none, or its file is not sound.
    """
    known = lessons()
    if lesson not in known:
        raise ValueError(f"there are no predictions for lesson {lesson!r}; there are for: {', '.join(known)}")
    return _load(data_path(f"predictions/{lesson}.toml"))


def lessons() -> list[str]:
    """The lessons that ask for predictions."""
    return sorted(path.stem for path in data_path("predictions").glob("[0-9][0-9].toml"))


@cache
def _load(path: Path) -> dict[str, Question]:
    where = f"data/predictions/{path.name}"
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where} is not valid TOML: {error}") from None
    return {f"{path.stem}.{name}": _question(where, f"{path.stem}.{name}", entry) for name, entry in written.items()}


def _question(where: str, key: str, entry: dict[str, Any]) -> Question:
    entry = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    try:
        found = Question(key=key, **entry)
    except TypeError as error:
        raise ValueError(f"{where}, {key}: {str(error).partition(') ')[2] or error}") from None
    if trouble := _trouble(found):
        raise ValueError(f"{where}, {key}: {trouble}")
    return found


def _trouble(one: Question) -> str:
    """What is wrong with a question, in a few words; nothing where it is sound."""
    if not KEY.fullmatch(one.key):
        return "a name is made of small letters, digits and _"
    if one.kind not in KINDS:
        return f"kind is {one.kind!r}, but it must be one of {', '.join(KINDS)}"
    if not one.ask.strip() or not one.measure.strip() or not one.expected:
        return "a question needs `ask`, `measure` and `expected`"
    if one.kind == "choice":
        if len(set(one.choices)) < max(2, len(one.choices)):
            return "a choice needs at least two different `choices`"
        if one.cuts and (len(one.cuts) != len(one.choices) - 1 or list(one.cuts) != sorted(set(one.cuts))):
            return "`cuts` must rise, one fewer than there are choices"
        return ""
    if not one.low < one.high or (one.log and one.low <= 0) or one.step <= 0:
        return "`low` must lie below `high`, above 0 where the scale is one of ratios, and `step` above 0"
    if (one.within > 0) == (one.factor > 1):
        return "give either `within`, above 0, or `factor`, above 1: how close is right"
    if one.factor and one.low <= 0:
        return "`factor` needs a `low` above 0"
    return ""
