"""Ten seconds of training, and what they say about the lessons' times here."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from moe_lessons.checkup.check import REINSTALL, Check, first_line
from moe_lessons.resources import data_path

BUDGET = 10.0  # seconds, models and all
SLOW = 3.0  # times the seconds of the machine on which the lessons were timed
PROMISED = 120.0  # seconds that a lesson takes at most on two cores of today


class LessonTimes(NamedTuple):
    """`data/times.toml`: how long the lessons took, and how fast the machine was that ran them."""

    machine: dict[str, str | int]  # name, cores, torch
    speed: dict[str, float]  # tokens per second of training, dense and moe
    seconds: dict[str, float]  # by lesson, such as 00_start_here
    memory: dict[str, float]  # megabytes that its kernel held at most
    gpu: Mapping[str, str] = MappingProxyType({})  # another machine's: name, torch
    gpu_seconds: Mapping[str, float] = MappingProxyType({})  # by lesson, there


def read_times(file: Path | None = None) -> LessonTimes:
    """The lessons' times, as `python -m moe_lessons.authoring times` measured them; FileNotFoundError without any."""
    written = tomllib.loads((file or data_path("times.toml")).read_text(encoding="utf-8"))
    return LessonTimes(*(written.get(name, {}) for name in LessonTimes._fields))


def tokens_per_second(budget: float = BUDGET) -> dict[str, float]:
    """Tokens a second of training the course's dense and sparse model here, in about `budget` seconds.

    A first short run tells how many steps fit.
    """
    from moe_lessons.benchmark.training_speed import compare
    from moe_lessons.device import choose_device

    device = choose_device()
    begin = time.perf_counter()
    found = compare(1, device)
    round_takes = sum(training.step.median for training in found.values())
    rounds = int((budget - 2 * (time.perf_counter() - begin)) / round_takes)
    if rounds > 1:
        found = compare(rounds, device)
    return {kind: training.tokens_per_second for kind, training in found.items()}


def check_speed() -> Check:
    """How fast this machine trains, beside the one on which the lessons were timed."""
    try:
        import torch

        here = tokens_per_second()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return Check("speed", f"not measured: {first_line(error)}", REINSTALL)
    numbers = {f"{kind}_tokens_per_second": round(speed) for kind, speed in here.items()}
    found = f"training reads {here['dense']:,.0f} tokens a second dense, {here['moe']:,.0f} sparse"
    if torch.cuda.is_available():
        return Check("speed", f"{found}; lessons have not been timed on a GPU", "", numbers)
    try:
        times = read_times()
    except FileNotFoundError:
        return Check("speed", found, "", numbers)
    slower = sum(times.speed[kind] / here[kind] for kind in here) / len(here)
    lesson, seconds = max(times.seconds.items(), key=lambda item: item[1])
    numbers |= {"times_as_long": round(slower, 2), "longest_lesson_seconds": round(seconds * slower)}
    longest = f"at most {seconds * slower:.0f} s (lesson {lesson[:2]})"
    found += f"; expect {slower:.1f} times the seconds in TEACHING.md, {longest}"
    remedy = ""
    if slower > SLOW or seconds * slower > 2 * PROMISED:
        remedy = "plug the machine in, close what else is running" + _busy() + ", and run this again"
    return Check("speed", found, remedy, numbers)


def _busy() -> str:
    """How much of the processor other programs take just now, where that is much."""
    try:
        import psutil

        share = psutil.cpu_percent(interval=0.5)
    except ImportError:
        return ""
    return f" ({share:.0f}% of the processor is taken)" if share > 30 else ""
