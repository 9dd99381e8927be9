"""Whole jobs side by side on PyTorch's threads, where PyTorch itself would put all threads to one job after another."""

import ctypes
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch.utils._python_dispatch import any_torch_dispatch_mode_on_stack

Job = TypeVar("Job")
_OnThread = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def side_by_side(work: Callable[[Iterator[Job]], None], jobs: Sequence[Job]) -> None:
    """Call `work` on every thread of PyTorch at once; each call gets the jobs that no other has taken yet, one by one.

    Operations of PyTorch inside `work` keep to their own thread, record no gradients, and release Python's lock while
    they compute. Where PyTorch has one thread, or its threads cannot be reached, or a mode of this thread watches
    every operation (as the FLOP counter does), one call gets all jobs. An error is raised here, after the jobs at hand.
    """
    if not jobs:
        return
    queue, errors = deque(jobs), []
    inference = torch.is_inference_mode_enabled()
    start = None if torch.get_num_threads() == 1 or any_torch_dispatch_mode_on_stack() else _openmp()

    def rest() -> Iterator[Job]:
        while queue:
            try:
                job = queue.popleft()
            except IndexError:  # another thread was faster
                return
            yield job

    def on_thread(_: object) -> None:
        try:
            with torch.inference_mode(inference), torch.no_grad():
                work(rest())
        except BaseException as error:  # must not be lost in C, not even Ctrl-C
            errors.append(error)
            queue.clear()

    if start is None:
        on_thread(None)
    else:
        start(_OnThread(on_thread), None, torch.get_num_threads(), 0)
    if errors:
        raise errors[0]


@contextmanager
def on_threads(count: int | None) -> Iterator[None]:
    """Inside the block, PyTorch works for this thread of Python on so many of its own; None leaves them as they are.

    One is best for products so small that handing them out takes longer than they do, the more so on a busy machine,
    where the others come late. Afterwards there are as many as before.
    """
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _openmp() -> Callable[..., None] | None:
    """The function with which compiled programs start OpenMP's threads, from the library that PyTorch uses; or None.

    Threads made by Python would be no help: they share the processor with PyTorch's own, which wait for their next
    operation by spinning, 8 ms long.
    """
    try:
        start = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).GOMP_parallel
    except (OSError, AttributeError):  # not Linux, or another kind of threads
        return None
    start.argtypes, start.restype = [_OnThread, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
    return start
