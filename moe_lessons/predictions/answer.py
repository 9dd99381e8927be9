"""An answer to a question: one key, a few numbers and a time. The only place where answers are checked."""

import math
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from moe_lessons.predictions.question import KEY, Question, question

EARLIEST, LATEST = 1.6e9, 4e9  # seconds since 1970: September 2020 and the year 2096


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What somebody predicted. It holds no text of theirs, so that it can be sent to a class as it is."""

    key: str
    answer: float  # a choice's index, or a number as a reader sees it
    sure: bool
    late: bool  # given when the measurement already stood on the page
    time: float  # seconds since 1970

    def record(self) -> dict[str, Any]:
        """As it is kept and sent: plain JSON, truth values as 0 and 1."""
        return asdict(self) | {"sure": int(self.sure), "late": int(self.late)}


def parsed(record: Any) -> Answer:
    """An answer from a record of any origin, as far as that can be judged without its question; else ValueError."""
    names = [field.name for field in fields(Answer)]
    if not isinstance(record, dict) or sorted(map(str, record)) != sorted(names):
        raise ValueError(f"a prediction is a record of {', '.join(names)}, and of nothing else")
    key = record["key"]
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ValueError("a prediction's key is that of a question, such as '05.one_sheet'")
    for name in names[1:]:
        if type(record[name]) not in (int, float) or not -1e15 < record[name] < 1e15:  # NaN is within no bounds
            raise ValueError(f"a prediction's {name} is a finite number")
    if record["sure"] not in (0, 1) or record["late"] not in (0, 1):
        raise ValueError("a prediction's sure and late are 0 or 1")
    if not EARLIEST < record["time"] < LATEST:
        raise ValueError("a prediction's time is in seconds since 1970, and of this century")
    return Answer(
        key=key,
        answer=float(record["answer"]),
        sure=bool(record["sure"]),
        late=bool(record["late"]),
        time=float(record["time"]),
    )


def accepted(record: Any) -> Answer:
    """The answer in a record that may have come from anywhere; ValueError, in one sentence, where it is none."""
    answer = parsed(record)
    return replace(answer, answer=within(question(answer.key), answer.answer))


def answered(one: Question, value: Any, sure: Any = False, late: bool = False) -> Answer:
    """An answer that is given now; ValueError where the question does not allow it."""
    if not isinstance(sure, bool):
        raise ValueError(f"sure is {str(sure)[:40]!r}, but one is sure or not; give True or False")
    return Answer(key=one.key, answer=within(one, value), sure=sure, late=late, time=round(time.time(), 1))


def within(one: Question, value: Any) -> float:
    """The value as a number that the question allows; ValueError for any other."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"the prediction for {one.key} must be a finite number; type one, or choose")
    if one.kind == "choice":
        if value != int(value) or not 0 <= value < len(one.choices):
            raise ValueError(
                f"the prediction for {one.key} is choice {value:g}, but it has choices 0 to {len(one.choices) - 1}"
            )
    elif not one.low <= value <= one.high:
        raise ValueError(
            f"the prediction for {one.key} is {value:g}, but it must lie between {one.low:,g} and {one.high:,g}"
        )
    return float(value)
