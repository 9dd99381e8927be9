"""The parts of the report: the bench's sections and the GPU tests in processes of their own, lessons in kernels.

So a crash of the GPU's driver, or of a kernel on it, ends one part and not the report.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from moe_lessons.authoring import folder
from moe_lessons.authoring.execute import execute
from moe_lessons.authoring.text import bare
from moe_lessons.authoring.times import stored_times
from moe_lessons.gpu_report.report import Part

# The bench's sections, and the most seconds of each.
SECTIONS = {"layer": 120.0, "training": 100.0, "generation": 80.0}
TESTS, LESSON = 120.0, 150.0
MARK = "mark.gpu"


def parts(device: str, rounds: int, *, quick: bool) -> Iterator[Part]:
    """All of them, in the order in which they are wanted: the longest lessons are what a short time leaves out."""
    for name, most in SECTIONS.items():
        yield Part("bench", name, most, partial(section, name, device, rounds, quick=quick))
    yield Part("tests", "gpu", TESTS, gpu_tests)
    if quick:
        yield Part("lessons", "tiny", LESSON, partial(_tiny_lesson, device))
        return
    known = stored_times().seconds
    for path in sorted(folder.targets(), key=lambda path: known.get(path.stem, 0.0)):
        yield Part("lessons", path.stem, LESSON, partial(lesson, path, device))


def section(name: str, device: str, rounds: int, limit: float, *, quick: bool = False) -> Any:
    """What this section of `moe-lessons bench` puts into its JSON."""
    command = ["-m", "moe_lessons", "bench", "--only", name, "--rounds", str(rounds), "--device", device, "--json"]
    done = _python([*command, *(["--quick"] if quick else [])], limit)
    if done.returncode:
        raise RuntimeError(_last_line(done.stderr))
    return json.loads(done.stdout)[name]


def gpu_tests(limit: float) -> dict[str, Any]:
    """How many of the tests that need a GPU pass, fail and are skipped, and which fail.

    Raises RuntimeError where there are none, as in an installation without the course's folder.
    """
    root = folder.NOTEBOOKS.parent
    files = [str(path) for path in sorted(root.glob("tests/**/test_*.py")) if MARK in path.read_text(encoding="utf-8")]
    if not files:
        raise RuntimeError(f"there are no tests in {root}; run this in a checkout of the course")
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "tests.xml")
        options = ["-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junit-xml={log}"]
        done = _python([*options, *files], limit, where=root)
        if not log.exists():
            raise RuntimeError(_last_line(done.stderr + done.stdout))
        return _counted(ElementTree.parse(log).getroot())


def _counted(log: ElementTree.Element) -> dict[str, Any]:
    """pytest's own log, as far as it tells how many."""
    cases = list(log.iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {
        "passed": len(cases) - len(bad) - skipped,
        "failed": len(bad),
        "skipped": skipped,
        "failures": [f"{case.get('classname')}.{case.get('name')}" for case in bad],
    }


def lesson(path: Path, device: str, limit: float) -> dict[str, Any]:
    """Seconds and memory of one lesson's first run, with an empty cache, and how many of its statements are not so.

    The notebook on disk stays as it is. Raises RuntimeError that names the cell that failed, TimeoutError that names
    the one which still ran.
    """
    return _executed(folder.read(path), path.parent, device, limit)


def _tiny_lesson(device: str, limit: float) -> dict[str, Any]:
    import nbformat

    cell = nbformat.v4.new_code_cell("from moe_lessons.device import choose_device\nprint(choose_device())")
    return _executed(nbformat.v4.new_notebook(cells=[cell]), Path.cwd(), device, limit)


def _executed(notebook: Any, where: Path, device: str, limit: float) -> dict[str, Any]:
    fresh = bare(notebook)
    with tempfile.TemporaryDirectory() as cache:
        variables = {"MOE_LESSONS_CACHE": cache}
        if device.startswith("cuda"):
            first = device.partition(":")[2] or "0"
            variables["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", first)
        timing = execute(fresh, where, limit, **variables)
    printed = [output.get("text", "") for cell in fresh.cells for output in cell.get("outputs", [])]
    return {
        "seconds": round(timing.total, 1),
        "megabytes": round(timing.megabytes),
        "not_so": sum(text.count("not so:") for text in printed),
    }


def _python(arguments: Sequence[str], limit: float, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run this very Python; TimeoutError where it has not ended in time."""
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command, cwd=where, timeout=limit, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"still ran after {limit:.0f} s") from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("moe-lessons: ") if lines else "it ended without a word"


def summary(report: dict[str, Any]) -> list[str]:
    """The figures that a report is asked for first, a line each."""
    found = {name: entry.get("result") for name, entry in report.get("bench", {}).items()}
    lines = []
    for contest in found.get("layer") or ():
        way = contest["ways"][contest["default"]]
        share = f", {100 * way['share_of_peak']:.0f}% of the peak" if way["share_of_peak"] else ""
        sizes = f"{contest['dim']} x {contest['hidden']} x {contest['experts']}"
        lines.append(f"dispatch at {sizes}: {way['ratio']:.2f} times the dense layer{share}")
    for name, training in (found.get("training") or {}).items():
        lines.append(f"training, {name}: {training['tokens_per_second']:,.0f} tokens a second")
    for name, timing in (found.get("generation") or {}).get("timings", {}).items():
        lines.append(f"writing, {name}: {timing['tokens_per_second']:,.0f} tokens a second")
    if tests := report.get("tests", {}).get("gpu", {}).get("result"):
        lines.append(f"GPU tests: {tests['passed']} passed, {tests['failed']} failed, {tests['skipped']} skipped")
        lines += [f"failed: {name}" for name in tests["failures"]]
    lessons = report.get("lessons", {})
    timed = [entry["result"]["seconds"] for entry in lessons.values() if "result" in entry]
    return [*lines, f"lessons: {len(timed)} of {len(lessons)} ran to their end, in {sum(timed):.0f} s"]
