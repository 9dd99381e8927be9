"""Write a lesson as a Python file, and build, run and clean the notebook that learners open.

    python -m moe_lessons.authoring text notebooks/01_text_to_tokens.ipynb -o /tmp/01_text_to_tokens.py
    python -m moe_lessons.authoring build /tmp/01_text_to_tokens.py
    python -m moe_lessons.authoring run                    # every notebook again, in place
    python -m moe_lessons.authoring clean                  # without running anything
    python -m moe_lessons.authoring table                  # the lessons' titles and minutes into README.md
    python -m moe_lessons.authoring times                  # how long each lesson runs here, into TEACHING.md

A lesson's source is jupytext's percent format: `# %% [markdown]` and `# %% tags=["nbval-ignore-output"]`. A
notebook differs from the one built before it in nothing but what its cells printed: no clocks, no random ids.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

STOP_AFTER = float(os.environ.get("MOE_LESSONS_STOP_AFTER", "180"))  # seconds for one notebook; a learner's patience ends before
PROMISED = 120.0  # seconds that the course promises on two CPU cores
WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
# Folders that tell where a notebook was made: a learner's machine has none of them.
ABSOLUTE = re.compile(
    r"(?<![\w.:/])/(?:home|root|work|tmp|usr|opt|Users|private|mnt|var|content)/[\w.]|[A-Z]:\\\\?Users"
)


class Timing(NamedTuple):
    """How long one notebook took, and its cells by index, in seconds."""

    total: float
    cells: dict[int, float]


def from_text(source: str) -> NotebookNode:
    """The notebook, without outputs, that a percent-format source describes; tags stay, other metadata goes."""
    import jupytext

    return _bare(jupytext.reads(source, fmt="py:percent"))


def to_text(notebook: NotebookNode) -> str:
    """The percent-format source of a notebook: what `from_text` reads back."""
    import jupytext

    bare = _bare(notebook)
    bare.metadata["jupytext"] = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "tags,-all"}
    return jupytext.writes(bare, fmt="py:percent")


def _bare(notebook: NotebookNode) -> NotebookNode:
    """A copy with sources and tags alone."""
    cells = []
    for cell in notebook.cells:
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        cells.append(make(cell.source, metadata=metadata))
    return nbformat.v4.new_notebook(cells=cells, metadata=_metadata())


def _metadata() -> dict[str, dict[str, str]]:
    return {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def environment() -> dict[str, str]:
    """What a lesson's kernel sees when it is built: no GPU, two threads, a fixed hash seed."""
    fixed = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "0"}
    return {**os.environ, **fixed}


def execute(notebook: NotebookNode, folder: Path, **variables: str) -> Timing:
    """Run every cell in place, in a fresh kernel of this very Python, with more environment variables if need be.

    Raises RuntimeError that names the cell and carries its traceback, TimeoutError after STOP_AFTER seconds.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    begin = time.monotonic()
    started: dict[int, float] = {}
    took: dict[int, float] = {}

    def on_start(cell: NotebookNode, cell_index: int, **_: object) -> None:
        started[cell_index] = time.monotonic()

    def on_end(cell: NotebookNode, cell_index: int, **_: object) -> None:
        if cell_index in started:
            took[cell_index] = time.monotonic() - started[cell_index]

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout_func=lambda cell: max(1, int(STOP_AFTER - (time.monotonic() - begin))),
        resources={"metadata": {"path": str(folder)}},
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
        message = f"{_cell_name(notebook, started)} still ran after {STOP_AFTER:.0f} s; make it smaller"
        raise TimeoutError(message) from error
    except DeadKernelError as error:
        message = f"{_cell_name(notebook, started)} killed its kernel; it probably ran out of memory"
        raise RuntimeError(message) from error
    return Timing(time.monotonic() - begin, took)


def _traceback(error: Exception) -> str:
    """The kernel's traceback, in color only where someone looks at a terminal."""
    text = str(getattr(error, "traceback", error))
    return text if sys.stderr.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", text)


def _cell_name(notebook: NotebookNode, started: dict[int, float]) -> str:
    index = max(started, default=0)
    source = notebook.cells[index].source.strip().splitlines() or [""]
    return f"cell {index + 1} of {len(notebook.cells)} ({source[0][:70]!r})"


def clean(notebook: NotebookNode) -> NotebookNode:
    """A copy that holds nothing random or local: fixed ids, no clocks, no widget state, whole streams.

    A widget's model id is dropped with its state: without it a reader sees the widget's still picture, with
    it "model not found". nbval does not compare that part. Raises ValueError where an output shows an
    absolute path.
    """
    fresh = nbformat.v4.new_notebook(metadata=_metadata())
    for number, cell in enumerate(notebook.cells, start=1):
        copy = _bare(nbformat.v4.new_notebook(cells=[cell])).cells[0]
        copy["id"] = f"cell-{number:03d}"
        if cell.cell_type == "code":
            copy["execution_count"] = cell.get("execution_count")
            copy["outputs"] = list(_clean_outputs(cell.get("outputs", []), copy["execution_count"]))
            for line in _texts(copy["outputs"]):
                if found := ABSOLUTE.search(line):
                    where = line[max(0, found.start() - 40) : found.end() + 60].strip()
                    raise ValueError(f"cell {number} shows an absolute path: {where!r}; print a relative one")
        fresh.cells.append(copy)
    fresh.nbformat_minor = 5
    nbformat.validate(fresh)
    return fresh


def _clean_outputs(outputs: Sequence[NotebookNode], count: int | None) -> Iterator[NotebookNode]:
    merged: list[NotebookNode] = []
    for output in outputs:
        previous = merged[-1] if merged else None
        if output.output_type == "stream" and previous is not None and previous.get("name") == output.name:
            previous["text"] += output.text
        else:
            merged.append(nbformat.from_dict(dict(output)))
    for output in merged:
        output.pop("transient", None)
        if output.output_type == "stream":
            output["text"] = _as_on_screen(output.text)
        elif output.output_type in ("display_data", "execute_result"):
            output["data"] = {kind: data for kind, data in sorted(output.data.items()) if kind != WIDGET}
            output["metadata"] = {kind: m for kind, m in output.metadata.items() if kind in output["data"]}
            if not output["data"]:
                continue
        if "execution_count" in output:
            output["execution_count"] = count
        yield output


def _as_on_screen(text: str) -> str:
    """What a terminal shows of a stream: a carriage return begins its line anew."""
    lines = []
    for line in text.split("\n"):
        parts = [part for part in line.split("\r") if part]
        lines.append(parts[-1] if parts else "")
    return "\n".join(lines)


def _texts(outputs: Sequence[NotebookNode]) -> Iterator[str]:
    for output in outputs:
        if output.output_type == "stream":
            yield from output.text.splitlines()
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/") and isinstance(data, str):
                yield from data.splitlines()


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all, with a newline at its end."""
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> NotebookNode:
    """A notebook from disk; ValueError with its name where it is none."""
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (nbformat.reader.NotJSONError, UnicodeDecodeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a notebook; restore it with git") from error


def make(notebook: NotebookNode, target: Path) -> Timing:
    """Execute, clean and write to `target`; after an error the notebook that was there stays as it was."""
    bare = _bare(notebook)
    timing = execute(bare, target.parent)
    write(clean(bare), target)
    return timing


def header(notebook: NotebookNode) -> tuple[str, int]:
    """A lesson's title and minutes, as its first cell says them; ValueError where it does not."""
    text = notebook.cells[0].source if notebook.cells else ""
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    minutes = re.search(r"(\d+)\**\s+minutes", text)
    if not title or not minutes:
        raise ValueError("the first cell must hold '# a title' and 'about 30 minutes'")
    return title.group(1).strip(), int(minutes.group(1))


def lesson_table() -> str:
    """The lessons as the README lists them, from the notebooks' own headers."""
    lines = ["| lesson | minutes |", "| --- | ---: |"]
    for path in _targets([]):
        title, minutes = header(read(path))
        lines.append(f"| [{title}](notebooks/{path.name}) | {minutes} |")
    return "\n".join(lines)


def write_table() -> None:
    """Put the table of lessons between its marks in README.md, and the one with their times in TEACHING.md."""
    _between_marks(NOTEBOOKS.parent / "README.md", "lessons", lesson_table())
    _between_marks(NOTEBOOKS.parent / "TEACHING.md", "times", times_table())


def _between_marks(path: Path, name: str, table: str) -> None:
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not begin or not end:
        raise ValueError(f"{path.name} lacks the marks <!-- {name} --> and <!-- end of {name} -->; put them back")
    path.write_text(f"{before}{begin}{table}\n{end}{after}", encoding="utf-8")


def measure_times(given: Sequence[Path]) -> None:
    """Time a first run of each lesson, and what this machine is, into data/times.toml and TEACHING.md.

    Every lesson begins with an empty cache, as on a learner's machine. Naming lessons renews these alone; a time from
    another machine is dropped.
    """
    machine, times = _this_machine(), _read_times()
    if times.get("machine") != machine:
        times = {"machine": machine, "seconds": {}}
    for path in _targets(given):
        with tempfile.TemporaryDirectory() as cache:
            timing = execute(_bare(read(path)), path.parent, MOE_LESSONS_CACHE=cache)
        _report(path.name, timing)
        times["seconds"][path.stem] = round(timing.total, 1)
        _write_times(times)
    if not given or "speed" not in times:
        from moe_lessons.checkup.speed import tokens_per_second

        times["speed"] = {kind: round(speed, 1) for kind, speed in tokens_per_second().items()}
    written = {path.stem for path in _targets([])}
    times["seconds"] = {lesson: s for lesson, s in sorted(times["seconds"].items()) if lesson in written}
    _write_times(times)
    _between_marks(NOTEBOOKS.parent / "TEACHING.md", "times", times_table())


def _this_machine() -> dict[str, str | int]:
    from moe_lessons.benchmark.machine import describe
    from moe_lessons.device import choose_device

    machine = describe(choose_device("cpu"))
    return {"name": machine.device, "cores": machine.cores, "torch": machine.torch}


def _times_file() -> Path:
    return NOTEBOOKS.parent / "data" / "times.toml"


def _read_times() -> dict[str, dict]:
    path = _times_file()
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_times(times: dict[str, dict]) -> None:
    lines = ["# Written by `python -m moe_lessons.authoring times`: seconds of each lesson's first run, cells alone,"]
    lines += ["# and tokens a second of training there. moe-lessons doctor compares a machine with it."]
    for name in ("machine", "speed", "seconds"):
        values = times.get(name, {})
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    _times_file().write_text("\n".join(lines) + "\n", encoding="utf-8")


def times_table() -> str:
    """What a lesson takes: a learner's minutes by its own header, and its cells' seconds as measured."""
    times = _read_times()
    machine, seconds = times["machine"], times["seconds"]
    lines = [
        f"| lesson | minutes | seconds of its cells on {machine['cores']} cores | on a GPU |",
        "| --- |" + " ---: |" * 3,
    ]
    for path in _targets([]):
        title, minutes = header(read(path))
        took = f"{seconds[path.stem]:.0f}" if path.stem in seconds else "not measured"
        lines.append(f"| [{title}](notebooks/{path.name}) | {minutes} | {took} | not measured |")
    speed = times["speed"]
    where = f"{machine['cores']} cores of {machine['name']} with PyTorch {machine['torch']}"
    read_there = f"{speed['dense']:,.0f} tokens a second dense and {speed['moe']:,.0f} sparse"
    lines += [
        "",
        f"Measured by `python -m moe_lessons.authoring times` on {where}, each lesson alone and with an empty cache; "
        f"training read {read_there} there. `moe-lessons doctor` says what that makes of another machine.",
    ]
    return "\n".join(lines)


def _report(name: str, timing: Timing) -> bool:
    slow = sorted(((s, i) for i, s in timing.cells.items() if s >= 5), reverse=True)[:4]
    detail = "".join(f", cell {index + 1}: {seconds:.0f} s" for seconds, index in slow)
    print(f"{name}: {timing.total:.0f} s{detail}", flush=True)
    if timing.total > PROMISED:
        print(f"{name} took longer than the promised {PROMISED:.0f} s; train for less", flush=True)
    return timing.total <= PROMISED


def _targets(given: Sequence[Path]) -> list[Path]:
    found = list(given) or sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not found:
        raise ValueError(f"no notebook in {NOTEBOOKS.name}/; build one first, or name it")
    return found


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m moe_lessons.authoring", description=summary)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="percent-format sources -> executed, clean notebooks")
    build.add_argument("files", nargs="+", type=Path, metavar="FILE.py")
    build.add_argument("--into", type=Path, default=NOTEBOOKS, help="folder to write to (default: notebooks/)")
    for name, what in (("run", "execute again, in place"), ("clean", "clean in place, without executing")):
        sub = commands.add_parser(name, help=what)
        sub.add_argument("notebooks", nargs="*", type=Path, help="default: all of notebooks/")
    commands.add_parser("table", help="the lessons' titles and minutes into README.md and TEACHING.md")
    times = commands.add_parser("times", help="how long lessons run here, into TEACHING.md")
    times.add_argument("notebooks", nargs="*", type=Path, help="renew these alone; default: all, and the speed")
    text = commands.add_parser("text", help="a notebook's percent-format source, for editing")
    text.add_argument("notebook", type=Path)
    text.add_argument("-o", "--output", type=Path, help="default: standard output")
    return parser


def _run(args: argparse.Namespace) -> bool:
    """Do one command; False where a notebook failed or was too slow."""
    good = True
    if args.command == "text":
        source = to_text(read(args.notebook))
        if args.output:
            args.output.write_text(source, encoding="utf-8")
        else:
            print(source, end="")
        return True
    if args.command == "table":
        write_table()
        return True
    if args.command == "times":
        measure_times(args.notebooks)
        return True
    if args.command == "clean":
        for path in _targets(args.notebooks):
            write(clean(read(path)), path)
        return True
    if args.command == "build":
        jobs = [(path, args.into / f"{path.stem}.ipynb") for path in args.files]
    else:
        jobs = [(path, path) for path in _targets(args.notebooks)]
    for path, target in jobs:
        try:
            notebook = from_text(path.read_text(encoding="utf-8")) if args.command == "build" else read(path)
            good &= _report(target.name, make(notebook, target))
        except (RuntimeError, TimeoutError, ValueError, OSError) as error:
            print(f"{path.name}: {error}", file=sys.stderr, flush=True)
            good = False
    return good


def main(argv: Sequence[str] | None = None) -> int:
    """Run one authoring command; 0 where all went well."""
    args = _parser().parse_args(argv)
    try:
        return 0 if _run(args) else 1
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
