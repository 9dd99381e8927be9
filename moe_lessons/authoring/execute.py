"""Run a notebook in a fresh kernel, as a lesson is run when its outputs are stored."""

import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from moe_lessons import idle_threads
from moe_lessons.authoring import folder, states
from moe_lessons.authoring.clean import clean
from moe_lessons.authoring.text import bare
from moe_lessons.checkup.check import shown
from moe_lessons.languages.catalogs import SOURCE
from moe_lessons.languages.chosen import VARIABLE
from moe_lessons.resources import cache_dir

# Seconds for one notebook; a learner's patience ends before. Busy machines may need more.
STOP_AFTER = float(os.environ.get("MOE_LESSONS_STOP_AFTER", "180"))
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)


class Timing(NamedTuple):
    """How long one notebook took, and its cells by index, in seconds; and the memory of its kernel."""

    total: float
    cells: dict[int, float]
    memory: dict[int, float]  # megabytes: the most that the kernel had held when the cell ended, child processes aside

    @property
    def megabytes(self) -> float:
        """The most that the kernel held at once."""
        return max(self.memory.values(), default=0.0)


def environment() -> dict[str, str]:
    """What a lesson's kernel sees when it is built: no GPU, English, two threads that wait as make lab does, a seed."""
    fixed = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "0", VARIABLE: SOURCE}
    return {idle_threads.VARIABLE: idle_threads.TURNS, **os.environ, **fixed}


def execute(notebook: NotebookNode, where: Path, stop_after: float = STOP_AFTER, /, **variables: str) -> Timing:
    """Run every cell in place, in a fresh kernel of this very Python, with more environment variables if need be.

    Raises RuntimeError that names the cell and carries its traceback, TimeoutError after `stop_after` seconds.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    begin = time.monotonic()
    started: dict[int, float] = {}
    took: dict[int, float] = {}
    memory: dict[int, float] = {}

    def on_start(cell: NotebookNode, cell_index: int, **_: object) -> None:
        started[cell_index] = time.monotonic()

    def on_end(cell: NotebookNode, cell_index: int, **_: object) -> None:
        if cell_index in started:
            took[cell_index] = time.monotonic() - started[cell_index]
            memory[cell_index] = _held(getattr(client.km and client.km.provisioner, "pid", None))

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout_func=lambda cell: max(1, int(stop_after - (time.monotonic() - begin))),
        resources={"metadata": {"path": str(where)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_start=on_start,
        on_cell_executed=on_end,
    )
    try:
        client.execute(env=environment() | variables)
    except CellExecutionError as error:
        raise RuntimeError(f"{_cell_name(notebook, started)} failed:\n{_traceback(error)}") from error
    except CellTimeoutError as error:
        message = f"{_cell_name(notebook, started)} still ran after {stop_after:.0f} s; make it smaller"
        raise TimeoutError(message) from error
    except DeadKernelError as error:
        message = f"{_cell_name(notebook, started)} killed its kernel; it probably ran out of memory"
        raise RuntimeError(message) from error
    return Timing(time.monotonic() - begin, took, memory)


def make(notebook: NotebookNode, target: Path) -> Timing:
    """Execute, clean and write to `target`, and a lesson's widget states to data/states.

    After an error the notebook that was there stays as it was.

    The lesson begins with an empty cache, as on a learner's machine: an answer to its quiz or a router on its
    leaderboard would show in what is stored.
    """
    fresh = bare(notebook)
    with tempfile.TemporaryDirectory() as cache:
        timing = execute(fresh, target.parent, MOE_LESSONS_CACHE=cache, **states.CARRY)
        kept = states.take(fresh, target.stem)
        for output in (output for cell in fresh.cells for output in cell.get("outputs", [])):
            if output.output_type == "stream":
                output.text = output.text.replace(cache, shown(cache_dir()))  # the learner's
    folder.write(clean(fresh, target.stem), target)
    if target.parent.resolve() == folder.NOTEBOOKS:
        states.write(kept, target.stem)
    return timing


def make_states(notebook: NotebookNode, target: Path) -> Timing:
    """Execute a copy of the lesson in `target`, and write its widget states alone: the notebook stays as it is."""
    fresh = bare(notebook)
    with tempfile.TemporaryDirectory() as cache:
        timing = execute(fresh, folder.NOTEBOOKS, MOE_LESSONS_CACHE=cache, **states.CARRY)
    states.write(states.take(fresh, target.stem), target.stem)
    return timing


def _held(pid: int | None) -> float:
    """The most megabytes that a process has held so far; where the system does not tell, what it holds now."""
    try:
        peak = _PEAK.search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    except OSError:
        peak = None
    return int(peak[1]) / 1000 if peak else _holds_now(pid)


def _holds_now(pid: int | None) -> float:
    import psutil  # comes with ipykernel

    try:
        return psutil.Process(pid).memory_info().rss / 1e6
    except psutil.Error:
        return 0.0


def _traceback(error: Exception) -> str:
    """The kernel's traceback, in color only where someone looks at a terminal."""
    text = str(getattr(error, "traceback", error))
    return text if sys.stderr.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", text)


def _cell_name(notebook: NotebookNode, started: dict[int, float]) -> str:
    index = max(started, default=0)
    source = notebook.cells[index].source.strip().splitlines() or [""]
    return f"cell {index + 1} of {len(notebook.cells)} ({source[0][:70]!r})"
