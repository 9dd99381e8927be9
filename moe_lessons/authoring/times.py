"""How long each lesson runs on this machine, and how much memory its kernel holds: data/times.toml."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from moe_lessons.authoring import folder
from moe_lessons.authoring.execute import Timing, make
from moe_lessons.checkup.speed import PROMISED, LessonTimes, read_times, tokens_per_second
from moe_lessons.files import replacing

REFERENCE = 13_000.0  # tokens a second in training the dense recipe, on the two cores of which PROMISED speaks


def measure_times(given: Sequence[Path], report: Callable[[str, Timing], object]) -> None:
    """Make each lesson again, and note into data/times.toml how long that took and what this machine is.

    Naming lessons renews these alone; a time from another machine is dropped.
    """
    machine, times = this_machine(), stored_times()
    if times.machine != machine:
        times = times._replace(machine=machine, speed={}, seconds={}, memory={})
    for path in folder.targets(given):
        timing = make(folder.read(path), path)
        report(path.name, timing)
        times.seconds[path.stem] = round(timing.total, 1)
        times.memory[path.stem] = round(timing.megabytes)
        _write_times(times)
    if not given or not times.speed:
        times = times._replace(speed={kind: round(speed, 1) for kind, speed in tokens_per_second().items()})
    lessons = {path.stem for path in folder.targets()}
    seconds, memory = (
        {k: v for k, v in sorted(kind.items()) if k in lessons} for kind in (times.seconds, times.memory)
    )
    _write_times(times._replace(seconds=seconds, memory=memory))


def take_gpu_report(file: Path) -> list[str]:
    """Note the lessons' seconds of `moe-lessons bench --gpu-report` into data/times.toml; those that it lacks.

    Seconds of the same GPU and PyTorch that the report does not renew are kept. Raises ValueError for a file that is
    no such report, or one of a CPU or in tiny sizes.
    """
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        device, quick = report["device"], report["quick"]
        timed = {name: each["result"]["seconds"] for name, each in report["lessons"].items() if "result" in each}
        gpu = {"name": report["machine"]["device"], "torch": report["machine"]["torch"]}
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is no whole report of moe-lessons bench --gpu-report; make it again") from error
    if not device.startswith("cuda") or quick:
        raise ValueError(f"{file} is of a {'tiny run' if quick else 'CPU'}; make a report on a machine with a GPU")
    times, names = stored_times(), [path.stem for path in folder.targets()]
    seconds = dict(times.gpu_seconds) if dict(times.gpu) == gpu else {}
    seconds = {name: (seconds | timed)[name] for name in names if name in seconds or name in timed}
    _write_times(times._replace(gpu=gpu, gpu_seconds=seconds))
    return [name for name in names if name not in seconds]


def this_machine() -> dict[str, str | int]:
    """What the times belong to."""
    from moe_lessons.benchmark.machine import describe
    from moe_lessons.device import choose_device

    machine = describe(choose_device("cpu"))
    return {"name": machine.device, "cores": machine.cores, "torch": machine.torch}


def _times_file() -> Path:
    return folder.NOTEBOOKS.parent / "data" / "times.toml"


def stored_times() -> LessonTimes:
    """What was measured; empty where nothing was."""
    path = _times_file()
    return read_times(path) if path.exists() else LessonTimes({}, {}, {}, {})


def promised() -> float:
    """Seconds that a lesson may take: more where the machine of data/times.toml is slower than the reference."""
    return PROMISED * max(1.0, REFERENCE / stored_times().speed.get("dense", REFERENCE))


def _write_times(times: LessonTimes) -> None:
    lines = ["# Written by `python -m moe_lessons.authoring times`: seconds of each lesson's first run, cells alone,"]
    lines += ["# megabytes that its kernel held at most, and tokens a second of training there. moe-lessons doctor"]
    lines += ["# compares a machine with it. What is said of a GPU comes from `moe-lessons bench --gpu-report`."]
    for name, values in times._asdict().items():
        if not values and name.startswith("gpu"):
            continue
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    with replacing(_times_file()) as scratch:
        scratch.write_text("\n".join(lines) + "\n", encoding="utf-8")
