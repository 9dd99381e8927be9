"""The one place that decides where tensors live, and what becomes of their memory."""

import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


def choose_device(request: str | None = None) -> torch.device:
    """CUDA where there is one, else the CPU; Apple's `mps` only on request, with a warning.

    Raises ValueError when the requested device is not there.
    """
    if request is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(request)
    except RuntimeError:
        raise ValueError(f"device is {request!r}, but must be 'cpu', 'cuda' or 'mps'") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device is {request!r}, but torch {torch.__version__} sees no CUDA GPU here; "
            "leave the device out to use the CPU"
        )
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise ValueError(f"device is {request!r}, but there are only {torch.cuda.device_count()} GPUs, from cuda:0")
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("device is 'mps', but this machine has no Apple GPU; leave the device out")
        warnings.warn("mps is untested by this course: results may differ from the CPU's", stacklevel=2)
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device is {request!r}, but must be 'cpu', 'cuda' or 'mps'")
    return device


def own_gpu(device: torch.device) -> torch.device:
    """This process's own GPU, where torchrun started several processes on this machine; else the device as it is.

    Raises ValueError for more processes than GPUs.
    """
    local, processes = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if device.type != "cuda" or processes == 1:
        return device
    if processes > torch.cuda.device_count():
        raise ValueError(
            f"there are {processes} processes on this machine, but {torch.cuda.device_count()} GPUs; start as many "
            "processes as GPUs, or use --device cpu"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside the block, torch's global generators of the CPU and of `device` begin at `seed`; outside nothing changes.

    torch.manual_seed would reach the generators of all GPUs, also those that nobody puts back.
    """
    device = torch.device(device)
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


@cache
def keep_freed_memory() -> None:
    """Let this process keep the memory of large tensors that it frees, up to half a GiB, for the next ones.

    Linux hands out memory in pages of 4 KiB, empties each when it is first touched, and by default gets those of
    tensors above 32 MiB back at once: training touches the same gigabytes anew at every step. The 96 MiB of
    gradients of a layer of 64 experts cost 30 ms a step that way, a fifth of the layer's time. Elsewhere than on
    Linux with its usual C library this does nothing.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    set_option(trim_threshold, 1 << 29)
    set_option(mmap_max, 0)


def give_back_freed_memory() -> None:
    """Return to the system what this process has freed and kept, so that work after a training begins small.

    On Linux with its usual C library; elsewhere this does nothing.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, TypeError, AttributeError):
        return
