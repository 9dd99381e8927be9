"""Every statement of the lessons on other machines, seeds and busy cores: how far each lies from its bound.

What `measured` says (moe_lessons/statements.py) is collected from lessons that are executed under other conditions.
A statement *flips* where it does not hold, and is *near* where one of its values comes to its bound within twice their
spread, the standard deviation of that value over all conditions. A cell *differs* where it shows something else than
it did when it was stored, beyond what may (tests/sanitize.cfg); with other seeds it may. data/margins.json keeps all.
"""

import hashlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from moe_lessons.authoring import folder
from moe_lessons.authoring.compare import differing_cells
from moe_lessons.authoring.execute import execute
from moe_lessons.authoring.text import bare
from moe_lessons.files import replacing
from moe_lessons.records import held
from moe_lessons.seeds import SWITCH
from moe_lessons.statements import RECORD, holds

PRODUCTS = "MOE_LESSONS_PRODUCTS"  # training.optimizers reads it
ENOUGH = 2.0  # spreads between a value and its bound
# A bound may move without another run of every machine; the next run of any machine renews it.
_BOUNDS = re.compile(r"\b(?:above|below|between|at_least|at_most|exactly)=(?:\([^()]*\)|[^\s,()]+)")


class Machine(NamedTuple):
    """Conditions that a lesson is run under, as environment variables, and whether other work keeps the cores busy."""

    variables: dict[str, str]
    capability: str = ""  # what torch must find on the processor
    busy: bool = False


def _instructions(torch: str, mkl: str, onednn: str) -> dict[str, str]:
    return {"ATEN_CPU_CAPABILITY": torch, "MKL_ENABLE_INSTRUCTIONS": mkl, "ONEDNN_MAX_CPU_ISA": onednn}


MACHINES = {
    "as stored": Machine({}),
    "one thread": Machine({"OMP_NUM_THREADS": "1"}),
    "SSE": Machine({"OMP_NUM_THREADS": "1", **_instructions("default", "SSE4_2", "SSE41")}),
    "AVX2": Machine(_instructions("avx2", "AVX2", "AVX2"), "AVX2"),
    "AVX-512": Machine(_instructions("avx512", "AVX512", "AVX512_CORE"), "AVX512"),
    "bfloat16": Machine({"OMP_NUM_THREADS": "1", PRODUCTS: "bfloat16"}),
    "seed 1": Machine({"OMP_NUM_THREADS": "1", SWITCH: "1"}),
    "seed 2": Machine({"OMP_NUM_THREADS": "1", SWITCH: "2"}),
    "busy": Machine({"OMP_NUM_THREADS": "1"}, busy=True),
}
QUICK = ("SSE", "seed 1")


def choose(names: str = "", *, quick: bool = False) -> list[str]:
    """The machines asked for that this processor can imitate; ValueError for a name that there is not."""
    asked = [name.strip() for name in names.split(",") if name.strip()] or list(QUICK if quick else MACHINES)
    for name in asked:
        if name not in MACHINES:
            raise ValueError(f"there is no machine {name!r}; choose from {', '.join(MACHINES)}")
    able = [name for name in asked if _has(MACHINES[name].capability)]
    for name in asked:
        if name not in able:
            print(f"{name}: left out, this processor lacks it", flush=True)
    return able


def _has(capability: str) -> bool:
    """Whether torch finds these instructions, or wider ones, when nothing holds it back."""
    import torch

    levels = ("", "DEFAULT", "AVX2", "AVX512")
    found = torch.backends.cpu.get_cpu_capability()
    return capability in levels[: levels.index(found) + 1] if found in levels else not capability


def sweep(paths: Sequence[Path], machines: Sequence[str], *, jobs: int = 2) -> bool:
    """Run each lesson on each machine, keep what its statements measured, and print those that flipped or came near.

    True where there is none.
    """
    print(f"{len(paths)} lessons on {len(machines)} machines: {', '.join(machines)}", flush=True)
    for busy in (False, True):  # whoever keeps the cores busy would do so for the others, too
        runs = [(path, name) for path in paths for name in machines if MACHINES[name].busy == busy]
        if runs:
            with _other_work(busy), ThreadPoolExecutor(jobs) as pool:
                list(pool.map(lambda run: _try(*run), runs))
    return report(paths)


def _try(path: Path, name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch) / "statements.jsonl"
        record.touch()
        stopped, differs = "", []
        stored = folder.read(path)
        notebook = bare(stored)
        try:
            execute(notebook, path.parent, **{RECORD: str(record)}, **MACHINES[name].variables)
            if SWITCH not in MACHINES[name].variables:
                differs = differing_cells(stored, notebook)
        except (RuntimeError, TimeoutError) as error:
            stopped = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            stopped = f"{str(error).splitlines()[0]} {stopped}"
        said = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    _keep(path, name, _digest(notebook), said, {"stopped": stopped, "differs": differs})
    detail = f"; cells that differ: {', '.join(map(str, differs))}" if differs else f"; {stopped}" if stopped else ""
    print(f"{path.stem} on {name}: {len(said)} statements{detail}", flush=True)


def _digest(notebook: Any) -> str:
    """What a lesson's code is, but for the bounds of its statements: results of another code are dropped."""
    code = _BOUNDS.sub("", "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    return hashlib.sha256(code.encode()).hexdigest()[:12]


@contextmanager
def _other_work(busy: bool) -> Iterator[None]:
    """A process for each core that does nothing but compute, at the same priority."""
    count = (os.cpu_count() or 1) if busy else 0
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


_one_at_a_time = threading.Lock()  # a system's lock knows processes, not threads


def margins_file() -> Path:
    """Where the values are kept."""
    return folder.NOTEBOOKS.parent / "data" / "margins.json"


def read_margins() -> dict[str, Any]:
    """All that was measured, by lesson."""
    path = margins_file()
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _keep(path: Path, name: str, code: str, said: Sequence[dict], noted: dict[str, Any]) -> None:
    """Put one run's statements among the others; several sweeps may write at a time."""
    file = margins_file()
    with _one_at_a_time, held(file):
        margins = read_margins()
        lesson = margins.get(path.stem, {})
        if lesson.get("code") != code:
            lesson = {"code": code, "stopped": {}, "differs": {}, "statements": {}}
        for one in lesson["statements"].values():
            one["values"].pop(name, None)
        for what, value in noted.items():
            lesson[what].pop(name, None)
            if value:
                lesson[what][name] = value
        for one in said:
            bound = {"bound": one["bound"], "limits": one["limits"], "unit": one["unit"]}
            kept = lesson["statements"].setdefault(one["words"], {"values": {}})
            kept.update(bound)
            kept["values"][name] = kept["values"].get(name, []) + [float(f"{v:.6g}") for v in one["values"]]
        margins[path.stem] = lesson
        text = json.dumps(dict(sorted(margins.items())), indent=1, ensure_ascii=False)
        with replacing(file) as scratch:
            scratch.write_text(text + "\n", encoding="utf-8")


class Margin(NamedTuple):
    """How a statement stood over all machines."""

    flipped: list[str]  # the machines on which it did not hold
    nearest: float  # the smallest distance of a value from its bound
    spread: float  # of that value over the machines


def margin(statement: dict[str, Any]) -> Margin:
    """Where one of several values comes nearest to its bound, in spreads."""
    bound, limits, values = statement["bound"], statement["limits"], statement["values"]
    flipped = [name for name, each in values.items() if not all(holds(bound, limits, value) for value in each)]
    lengths = {len(each) for each in values.values()}
    pooled = [value for each in values.values() for value in each]
    columns = list(zip(*values.values(), strict=True)) if len(lengths) == 1 else [pooled]
    found = []
    for column in (list(filter(math.isfinite, column)) for column in columns):
        spread = statistics.stdev(column) if len(column) > 1 else 0.0
        found.append((min((abs(value - limit) for value in column for limit in limits), default=0.0), spread))
    nearest, spread = min(found, key=lambda pair: pair[0] / pair[1] if pair[1] else float("inf"))
    return Margin(flipped, nearest, spread)


def is_near(margin: Margin) -> bool:
    """Whether a value came to its bound within twice its spread; what never moves has all the room it needs."""
    return margin.spread > 0 and margin.nearest < ENOUGH * margin.spread


def report(paths: Sequence[Path]) -> bool:
    """Print what flipped, came near or stopped, and count the rest; True where all held with room."""
    margins, count, bad = read_margins(), 0, 0
    for path in paths:
        lesson = margins.get(path.stem, {"stopped": {}, "differs": {}, "statements": {}})
        for name, why in lesson["stopped"].items():
            bad += 1
            print(f"{path.stem}: STOPPED on {name}: {why}")
        for name, cells in lesson["differs"].items():
            bad += 1
            print(f"{path.stem}: DIFFERS on {name}: cells {', '.join(map(str, cells))}")
        for words, statement in lesson["statements"].items():
            count += 1
            found = margin(statement)
            if not found.flipped and not is_near(found):
                continue
            bad += 1
            needs = f"{statement['bound']} {', '.join(f'{limit:g}' for limit in statement['limits'])}"
            word = f"FLIPPED on {', '.join(found.flipped)}" if found.flipped else "near"
            print(f"{path.stem}: {word}: {words} ({needs})")
            print(f"    nearest value {found.nearest:.3g} from its bound, spread {found.spread:.3g}")
            for name, values in statement["values"].items():
                print(f"    {name:>10}: {', '.join(f'{value:.4g}' for value in values[:8])}")
    print(f"{count} statements of {len(paths)} lessons; {bad} flipped, came near, differed or stopped")
    return not bad
