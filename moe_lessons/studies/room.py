"""A room of learners on one machine: how long each waits for a picture and for a trained model, and the memory a head.

    python -m moe_lessons.studies.room --learners 1 30 --out data/studies/room.json

makes the record that TEACHING.md quotes. A learner is a kernel that runs a lesson as far as its first live picture,
trains the course's sparse model for a counted number of steps, and stays open until the last one is done, as in class.
Memory is the proportional set size (PSS), in which a page that several processes share counts once in the sum. Seconds
of the cores are noted beside those on the wall, which other work stretches. What a learner's own JupyterLab server
takes beside the kernel, as behind a JupyterHub, is measured once, alone. Stopped and started again, the study goes on
with what is missing.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import torch

from moe_lessons.benchmark.machine import describe
from moe_lessons.resources import notebooks_path
from moe_lessons.studies.keep import keep, kept_runs
from moe_lessons.text.corpus import course_corpus

A_HEAD = 0.6  # GiB that a learner needs at most, and that must be free before a room opens
LEAST_FREE = 1.0  # GiB below which a running room is closed
_PSS = re.compile(r"^Pss:\s*(\d+) kB", re.MULTILINE)
_STILL = ("<Figure", "<PredictionView")  # pictures that are drawn, or that ask; nobody waits for them
_TRAIN = """
from moe_lessons.model.transformer import Transformer
from moe_lessons.text.corpus import course_corpus
from moe_lessons.training.loop import train
from moe_lessons.training.recipes import recipe

found, corpus = recipe("course-moe"), course_corpus(progress=False)
trained = Transformer(found.model_config(corpus.tokenizer.vocab_size), seed=0)
history = train(trained, corpus, found.train_config(steps={steps}, seed=0), progress=False)
"""


class Arm(NamedTuple):
    """A way to run a room."""

    one_thread: bool
    shared: bool  # one corpus for all, made before the class; else each learner's kernel makes its own
    apart: float  # seconds from one learner's start to the next one's


ARMS = {
    "as it comes": Arm(one_thread=False, shared=False, apart=0.0),
    "one thread": Arm(one_thread=True, shared=False, apart=0.0),
    "one thread, one corpus": Arm(one_thread=True, shared=True, apart=0.0),
    "one thread, one corpus, 4 s apart": Arm(one_thread=True, shared=True, apart=4.0),
}


def cells_until_picture(path: Path) -> list[str]:
    """The code of a lesson's cells up to its first live picture, that one included; ValueError where it has none."""
    sources = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            sources.append(cell.source)
            shown = [output.get("data", {}) for output in cell.outputs]
            if any("image/png" in data and not data["text/plain"].startswith(_STILL) for data in shown):
                return sources
    raise ValueError(f"{path.name} shows no live picture; name another lesson")


def pss_mb(pid: int) -> float:
    """A process's proportional set size in megabytes; 0 where it has ended or the system does not tell."""
    with contextlib.suppress(OSError):
        if found := _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")):
            return int(found[1]) / 1000
    return 0.0


def core_seconds(pid: int) -> float:
    """What a process has had of the cores so far; 0 where it has ended."""
    import psutil

    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.Error:
        return 0.0


def server_mb(patience: float = 300.0) -> float:
    """The memory of a JupyterLab server that answers and has no kernel yet; ValueError where none comes up."""
    with tempfile.TemporaryDirectory(prefix="room-", ignore_cleanup_errors=True) as folder:
        options = ["--no-browser", "--allow-root", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1"]
        command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
        mine, nowhere = {**os.environ, "JUPYTER_RUNTIME_DIR": folder}, subprocess.DEVNULL
        serving = subprocess.Popen(command, env=mine, stdout=nowhere, stderr=nowhere)
        try:
            until = time.monotonic() + patience
            while not any(Path(folder).glob("jpserver-*.json")):  # written when it listens
                if time.monotonic() > until or serving.poll() is not None:
                    raise ValueError("JupyterLab's server does not start here; try: jupyter lab --no-browser")
                time.sleep(0.5)
            time.sleep(5.0)  # it goes on loading for a moment
            return round(pss_mb(serving.pid))
        finally:
            serving.terminate()
            serving.wait(30)


def available_gib() -> float:
    """Memory that processes can still have."""
    import psutil

    return psutil.virtual_memory().available / 2**30


def environment(arm: Arm, cache: Path) -> dict[str, str]:
    """What a learner's kernel sees: idle threads wait briefly, as in every door of the course."""
    mine = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    threads = {"OMP_NUM_THREADS": "1"} if arm.one_thread else {}
    return {**mine, "GOMP_SPINCOUNT": "5000", "CUDA_VISIBLE_DEVICES": "", "MOE_LESSONS_CACHE": str(cache), **threads}


async def _learner(
    number: int, arm: Arm, sources: Sequence[str], steps: int, cache: Path, room: dict[str, Any]
) -> None:
    """One kernel, from its start to a trained model; then it waits for the others."""
    from nbclient import NotebookClient

    await asyncio.sleep(number * arm.apart)
    code = [*sources, _TRAIN.format(steps=steps)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in code])
    client = NotebookClient(notebook, kernel_name="python3", timeout=None, startup_timeout=600)
    begin = time.monotonic()
    async with client.async_setup_kernel(env=environment(arm, cache), cwd=str(cache)):
        pid = getattr(client.km and client.km.provisioner, "pid", 0)
        room["pids"].append(pid)
        for index, cell in enumerate(notebook.cells):
            await client.async_execute_cell(cell, index)
            if index == len(sources) - 1:
                room["picture"].append(time.monotonic() - begin)
                room["cores_until_picture"].append(core_seconds(pid))
                room["mb_at_picture"].append(pss_mb(pid))
        room["cores_until_trained"].append(core_seconds(pid))
        room["trained"].append(time.monotonic() - begin)
        await room["done"].wait()


async def _watch(room: dict[str, Any], learners: int) -> None:
    """Note the memory of all kernels together; open the door when all are done, close the room when memory ends."""
    while len(room["trained"]) < learners:
        room["mb"].append(sum(map(pss_mb, room["pids"])))
        if available_gib() < LEAST_FREE:
            raise MemoryError(f"less than {LEAST_FREE} GiB of memory is free; try with fewer learners")
        await asyncio.sleep(2.0)
    room["mb"].append(sum(map(pss_mb, room["pids"])))
    room["mb_each"] = [pss_mb(pid) for pid in room["pids"]]
    room["done"].set()


async def _run(arm: Arm, learners: int, sources: Sequence[str], steps: int, caches: Sequence[Path]) -> dict[str, Any]:
    names = ("pids", "picture", "cores_until_picture", "trained", "cores_until_trained", "mb", "mb_at_picture")
    room: dict[str, Any] = {name: [] for name in names}
    room["done"] = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(learners):
                group.create_task(_learner(number, arm, sources, steps, caches[number], room))
            group.create_task(_watch(room, learners))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return room


def run(name: str, learners: int, lesson: Path, steps: int) -> dict[str, Any]:
    """Open a room, and write down what happened. Raises ValueError where the memory would not do."""
    free = available_gib()
    if free < learners * A_HEAD + LEAST_FREE:
        raise ValueError(
            f"learners is {learners}, but {free:.1f} GiB of memory are free and each may need {A_HEAD} GiB; take fewer"
        )
    arm, begin = ARMS[name], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="room-") as folder:
        caches = [Path(folder) / f"learner-{number}" for number in range(learners)]
        for cache in caches:
            cache.mkdir()
            if arm.shared:
                (cache / "corpus").symlink_to(_shared_corpus())
        room = asyncio.run(_run(arm, learners, cells_until_picture(lesson), steps, caches))
        on_disk = [sum(f.stat().st_size for f in c.rglob("*") if f.is_file() and not f.is_symlink()) for c in caches]
    return {
        "arm": name,
        "learners": learners,
        "lesson": lesson.name[:2],
        "steps": steps,
        "seconds": round(time.monotonic() - begin, 1),
        "picture": _spread(room["picture"]),  # seconds after a learner's own start: median, and the last one
        "trained": _spread(room["trained"]),
        "cores_until_picture": round(statistics.median(room["cores_until_picture"]), 1),
        "cores_until_trained": round(statistics.median(room["cores_until_trained"]), 1),
        "mb_at_picture": round(statistics.median(room["mb_at_picture"])),
        "mb_a_head": round(statistics.median(room["mb_each"])),
        "mb_all_most": round(max(room["mb"])),
        "mb_on_disk": round(statistics.median(on_disk) / 1e6, 1),
        "free_gib_before": round(free, 1),
        "load_before": round(os.getloadavg()[0], 1),
    }


def _shared_corpus() -> Path:
    """The folder of this machine's own corpus, made if need be."""
    from moe_lessons.resources import cache_dir

    course_corpus(progress=False)
    return cache_dir() / "corpus"


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 1), "last": round(max(seconds), 1)}


def missing(runs: Sequence[Mapping[str, Any]], learners: Sequence[int]) -> list[tuple[int, str]]:
    """What is still to be run, small rooms first; a single learner needs no room, so no stagger."""
    there = {(row["learners"], row["arm"]) for row in runs}
    wanted = [
        (number, name) for number in sorted(learners) for name, arm in ARMS.items() if number > 1 or not arm.apart
    ]
    return [each for each in wanted if each not in there]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", type=int, nargs="+", required=True, help="sizes of the room")
    parser.add_argument("--lesson", default="00", help="whose first live picture is waited for; default: 00")
    parser.add_argument("--steps", type=int, default=15, help="of training; default: 15")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    (lesson,) = notebooks_path().glob(f"{args.lesson}_*.ipynb")
    runs = kept_runs(args.out, lesson=args.lesson, steps=args.steps)
    machine = describe(torch.device("cpu"))
    begun = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    server = begun.get("server_mb") or server_mb()
    command = f"python -m moe_lessons.studies.room --learners {' '.join(map(str, args.learners))} --out {args.out}"
    for learners, name in missing(runs, args.learners):
        runs.append(run(name, learners, lesson, args.steps))
        runs.sort(key=lambda row: (row["learners"], list(ARMS).index(row["arm"])))
        on = {"name": machine.device, "cores": machine.cores, "torch": machine.torch}
        keep(args.out, {"command": command, "machine": on, "server_mb": server, "runs": runs})
        print(next(row for row in runs if (row["learners"], row["arm"]) == (learners, name)), flush=True)


if __name__ == "__main__":
    main()
