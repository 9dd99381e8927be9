"""How long each lesson runs on this machine, and how much memory its kernel holds: data/times.toml."""

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from moe_lessons.authoring import folder
from moe_lessons.authoring.execute import Timing, make
from moe_lessons.checkup.speed import PROMISED, tokens_per_second

REFERENCE = 13_000.0  # tokens a second in training the dense recipe, on the two cores of which PROMISED speaks


def measure_times(given: Sequence[Path], report: Callable[[str, Timing], object]) -> None:
    """Make each lesson again, and note into data/times.toml how long that took and what this machine is.

    Naming lessons renews these alone; a time from another machine is dropped.
    """
    machine, times = this_machine(), read_times()
    if times.get("machine") != machine:
        times = {"machine": machine, "seconds": {}}
    for path in folder.targets(given):
        timing = make(folder.read(path), path)
        report(path.name, timing)
        times["seconds"][path.stem] = round(timing.total, 1)
        times.setdefault("memory", {})[path.stem] = round(timing.megabytes)
        _write_times(times)
    if not given or "speed" not in times:
        times["speed"] = {kind: round(speed, 1) for kind, speed in tokens_per_second().items()}
    written = {path.stem for path in folder.targets()}
    for kind in ("seconds", "memory"):
        times[kind] = {lesson: value for lesson, value in sorted(times.get(kind, {}).items()) if lesson in written}
    _write_times(times)


def this_machine() -> dict[str, str | int]:
    """What the times belong to."""
    from moe_lessons.benchmark.machine import describe
    from moe_lessons.device import choose_device

    machine = describe(choose_device("cpu"))
    return {"name": machine.device, "cores": machine.cores, "torch": machine.torch}


def _times_file() -> Path:
    return folder.NOTEBOOKS.parent / "data" / "times.toml"


def read_times() -> dict[str, dict]:
    """What was measured; empty where nothing was."""
    path = _times_file()
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def promised() -> float:
    """Seconds that a lesson may take: more where the machine of data/times.toml is slower than the reference."""
    return PROMISED * max(1.0, REFERENCE / read_times().get("speed", {}).get("dense", REFERENCE))


def _write_times(times: dict[str, dict]) -> None:
    lines = ["# Written by `python -m moe_lessons.authoring times`: seconds of each lesson's first run, cells alone,"]
    lines += ["# megabytes that its kernel held at most, and tokens a second of training there. moe-lessons doctor"]
    lines += ["# compares a machine with it."]
    for name in ("machine", "speed", "seconds", "memory"):
        values = times.get(name, {})
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    _times_file().write_text("\n".join(lines) + "\n", encoding="utf-8")
