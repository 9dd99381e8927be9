"""The tables of lessons that README.md and TEACHING.md hold, made from the notebooks and from what was measured."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from moe_lessons.authoring import folder, links
from moe_lessons.authoring.text import header
from moe_lessons.authoring.times import stored_times


def lesson_table(addresses: dict[str, str]) -> str:
    """The lessons as the README lists them, from the notebooks' own headers; with Colab where that has an address."""
    linked = bool(links.in_colab(addresses, links.FIRST))
    lines = ["| lesson | minutes |" + " elsewhere |" * linked, "| --- | ---: |" + " --- |" * linked]
    for path in folder.targets():
        title, minutes = header(folder.read(path))
        elsewhere = f" [Colab]({links.in_colab(addresses, path.name)}) |" if linked else ""
        lines.append(f"| [{title}](notebooks/{path.name}) | {minutes} |{elsewhere}")
    return "\n".join(lines)


def times_table() -> str:
    """What a lesson takes: a learner's minutes by its own header, its cells' seconds and memory as measured."""
    machine, speed, seconds, memory, gpu, gpu_seconds = stored_times()
    lines = [
        f"| lesson | minutes | seconds of its cells on {machine['cores']} cores | MB of memory | on a GPU |",
        "| --- |" + " ---: |" * 4,
    ]
    for path in folder.targets():
        title, minutes = header(folder.read(path))
        kinds = seconds, memory, gpu_seconds
        measured = (f"{each[path.stem]:.0f}" if path.stem in each else "not measured" for each in kinds)
        lines.append(f"| [{title}](notebooks/{path.name}) | {minutes} | {' | '.join(measured)} |")
    where = f"{machine['cores']} cores of {machine['name']} with PyTorch {machine['torch']}"
    read_there = f"{speed['dense']:,.0f} tokens a second dense and {speed['moe']:,.0f} sparse"
    lines += [
        "",
        f"Measured by `python -m moe_lessons.authoring times` on {where}, each lesson alone and with an empty cache; "
        "memory is the most that the lesson's kernel held at once. "
        f"Training read {read_there} there. `moe-lessons doctor` says what that makes of another machine.",
    ]
    if gpu:
        lines[-1] += (
            f" The last column is the seconds by `moe-lessons bench --gpu-report` on one {gpu['name']} with PyTorch "
            f"{gpu['torch']}."
        )
    return "\n".join(lines)


def room_table(study: Path | None = None) -> str:
    """How a room of learners on one machine fared, as `studies.room` measured it, or how to measure that."""
    if not (found := _study("room", study)):
        return "Not measured yet: `python -m moe_lessons.studies.room --learners 1 30 --out data/studies/room.json`."
    lines = [
        "| learners | how | first picture, s | trained model, s | s of a core, each | MB, each | GB, all "
        "| MB on disk, each |",
        "| ---: | --- |" + " ---: |" * 6,
    ]
    for row in found["runs"]:
        waits = (_wait(row[kind], row["learners"]) for kind in ("picture", "trained"))
        rest = f"{row['cores_until_trained']:.0f} | {row['mb_a_head']} | {row['mb_all_most'] / 1000:.1f}"
        lines.append(f"| {row['learners']} | {row['arm']} | {' | '.join(waits)} | {rest} | {row['mb_on_disk']:.0f} |")
    on, steps = found["machine"], found["runs"][0]["steps"]
    lines += [
        "",
        f"Measured by `{found['command']}` on {on['cores']} cores of {on['name']} with PyTorch {on['torch']}: "
        "medians of the learners' waits, and the longest one. The first picture is lesson 00's router; the model is "
        f"the course's sparse one after {steps} steps. MB are of the kernels alone; a learner's JupyterLab server "
        f"takes {found['server_mb']:.0f} MB beside its kernel, before pages that servers share are taken off.",
    ]
    most = max(row["learners"] for row in found["runs"])
    plain, *others = (row for row in found["runs"] if row["learners"] == most)
    if others:
        best = min(others, key=lambda row: row["trained"]["median"])
        words = (
            f"So the settings matter for {most} people: {plain['arm']}, half of them wait at least "
            f"{plain['trained']['median']:.0f} s for a trained model; with {best['arm']}, "
            f"{best['trained']['median']:.0f} s, and {plain['mb_all_most'] / 1000:.1f} GB become "
            f"{best['mb_all_most'] / 1000:.1f}. What no setting spares is the work, "
            f"{best['cores_until_trained']:.0f} seconds of a core a head."
        )
        lines += ["", *textwrap.wrap(words, 118)]
    return "\n".join(lines)


WAYS = {
    "make lab": "`make lab`",
    "uv": "uv, with the lock",
    "pip": "pip, in the clone",
    "wheel": "pip, the wheel alone",
    "hosted": "the first cell of the copies for Colab",
    "bundle": "a folder from `moe-lessons bundle`, no network",
    "container": "the steps of `.devcontainer/Dockerfile`",
}


def doors_table(study: Path | None = None) -> str:
    """What each way in takes on a bare Debian, as `studies.doors` measured it, or how to measure that."""
    if not (found := _study("doors", study)):
        return "Not measured yet: `python -m moe_lessons.studies.doors --out data/studies/doors.json`."
    lines = [
        "| way in | commands | Debian's packages, s | until JupyterLab, s | until the picture, s | all, s | GB |",
        "| --- |" + " ---: |" * 6,
    ]
    for row in found["doors"]:
        seconds = (row["packages"], row["install"] + row["served"], row["picture"], row["all"])
        cells = [str(row["commands"]), *(f"{each:.0f}" for each in seconds), f"{row['gb_on_disk']:.1f}"]
        star = "*" if row["torch_apart"] else ""
        lines.append(f"| {WAYS[row['door']]}{star} | {' | '.join(cells)} |")
    on = found["machine"]
    words = (
        f"Each in a bare Debian ({found['debian']}) of its own, from no package to the router's picture of lesson 00. "
    )
    if found["lent"]:
        words += "PyTorch lay on this machine's disk and other packages came from near: your network adds its time. "
    if any(row["torch_apart"] for row in found["doors"]):
        words += "* uv's own place for PyTorch could not be reached, so pip brought it, which is not counted. "
    lines += [
        "",
        f"Measured by `{found['command']}` on {on['cores']} cores of {on['name']} with PyTorch {on['torch']}.",
        "",
        *textwrap.wrap(words, 118),
    ]
    return "\n".join(lines)


def _study(name: str, path: Path | None) -> dict[str, Any]:
    """The record of a study, from data/studies/ or this path; empty where nobody has made it."""
    path = path or folder.NOTEBOOKS.parent / "data" / "studies" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _wait(seconds: dict[str, float], learners: int) -> str:
    """A wait of somebody alone, or of a room: the median, and the last one's."""
    return f"{seconds['median']:.0f}" + (f", last {seconds['last']:.0f}" if learners > 1 else "")


def write_lessons(addresses: dict[str, str] | None = None, readme: Path | None = None) -> None:
    """Put the table of lessons, and the badges of the doors, between their marks in README.md, and the address."""
    addresses = links.urls() if addresses is None else addresses
    readme = readme or folder.NOTEBOOKS.parent / "README.md"
    _between_marks(readme, "lessons", lesson_table(addresses))
    _between_marks(readme, "doors", links.badges(addresses))
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"git clone (<this repository>|\S+)", lambda _: f"git clone {links.clone(addresses)}", text)
    readme.write_text(text, encoding="utf-8")


def write_times() -> None:
    """Put the table of times between its marks in TEACHING.md."""
    _between_marks(folder.NOTEBOOKS.parent / "TEACHING.md", "times", times_table())


def write_room() -> None:
    """Put the table of a room on one machine between its marks in TEACHING.md."""
    _between_marks(folder.NOTEBOOKS.parent / "TEACHING.md", "room", room_table())


def write_doors() -> None:
    """Put the table of the ways in between its marks in TEACHING.md."""
    _between_marks(folder.NOTEBOOKS.parent / "TEACHING.md", "ways", doors_table())


def _between_marks(path: Path, name: str, table: str) -> None:
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not begin or not end:
        raise ValueError(f"{path.name} lacks the marks <!-- {name} --> and <!-- end of {name} -->; put them back")
    path.write_text(f"{before}{begin}{table}{table and chr(10)}{end}{after}", encoding="utf-8")
