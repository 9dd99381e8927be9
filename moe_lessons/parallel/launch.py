"""Several processes on this machine, started from Python: for notebooks and tests, where torchrun is not at hand."""

import multiprocessing
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import start_processes

from moe_lessons.parallel.ranks import TIMEOUT, team


def on_processes(n: int, function: Callable[..., Any], *arguments: Any, timeout: float = TIMEOUT) -> list[Any]:
    """Call `function(ranks, *arguments)` on n new processes of one thread each; what each returned, in order.

    The function must be importable, so one of a notebook will not do. Raises ValueError for less than one process,
    and what start_processes raises where one of them fails.
    """
    if n < 1:
        raise ValueError(f"n is {n}, but at least 1 process is needed")
    method = "spawn" if sys.platform == "win32" else "forkserver"
    if method == "forkserver":  # one process imports torch; the others are copies of it, in a hundredth of the time
        multiprocessing.set_forkserver_preload(["moe_lessons.parallel.work"])
    with tempfile.TemporaryDirectory() as folder:
        start_processes(_work, (n, folder, timeout, function, arguments), n, start_method=method)
        return [pickle.loads((Path(folder) / str(rank)).read_bytes()) for rank in range(n)]


def _work(rank: int, n: int, folder: str, timeout: float, function: Callable[..., Any], arguments: tuple) -> None:
    torch.set_num_threads(1)
    where = {"init_method": (Path(folder) / "meeting").as_uri(), "rank": rank, "world_size": n}
    with team(timeout, **where) as ranks:
        result = function(ranks, *arguments)
    (Path(folder) / str(rank)).write_bytes(pickle.dumps(result))
