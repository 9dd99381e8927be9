"""The machine: which device computes, a GPU that lies idle, memory, and room on the disks."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from moe_lessons.checkup.check import ON_CPU, REINSTALL, Check, first_line, shown
from moe_lessons.resources import cache_dir

MEMORY_NEEDED = 2.0  # GiB free while a lesson trains
DISK_NEEDED = 0.5  # GiB for corpora, checkpoints and runs
NVIDIA = Path("/proc/driver/nvidia/gpus")  # a folder for each GPU that NVIDIA's driver for Linux knows
CGROUP = Path("/sys/fs/cgroup")  # limits that a container sets


class Gpu(NamedTuple):
    """A GPU of NVIDIA's, as its own tools see it; `complaint` is what they say where they do not work."""

    name: str
    complaint: str = ""


def nvidia_gpu() -> Gpu | None:
    """The first GPU of NVIDIA's here, whatever PyTorch thinks of it; None where there is none."""
    listed = sorted(NVIDIA.glob("*/information"))
    program, complaint = shutil.which("nvidia-smi"), ""
    if program:
        command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
            if run.returncode == 0 and run.stdout.strip():
                name, _, driver = first_line(run.stdout).partition(", ")
                return Gpu(f"{name}, driver {driver}" if driver else name)
            complaint = first_line(run.stdout.strip() or run.stderr.strip() or f"it ended with {run.returncode}")
        except (OSError, subprocess.TimeoutExpired) as error:
            complaint = first_line(error)
    if not listed:
        return None  # nvidia-smi alone, as in a container without a GPU, is no GPU
    lines = dict(line.split(":", 1) for line in listed[0].read_text().splitlines() if ":" in line)
    return Gpu(lines.get("Model", "an NVIDIA GPU").strip(), complaint)


def check_device() -> Check:
    """Where the lessons will compute, and why not on a GPU that is here."""
    try:
        import torch

        from moe_lessons.device import choose_device

        device = choose_device()
    except (ImportError, OSError, AttributeError) as error:
        return Check("device", f"unknown without PyTorch ({first_line(error)})", REINSTALL)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found, memory = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB", properties.total_memory / 2**30
        try:
            (torch.ones(64, 64, device=device) @ torch.ones(64, 64, device=device)).sum().item()
        except RuntimeError as error:
            remedy = "close what else uses the GPU; if that does not help, set CUDA_VISIBLE_DEVICES= (empty)" + ON_CPU
            return Check("device", f"{found}: it cannot compute ({first_line(error)})", remedy)
        return Check("device", found, numbers={"gpu_memory_gib": round(memory, 1)})
    cores = usable_cores()
    cpu = f"CPU, {cores:g} {'core' if cores == 1 else 'cores'}"
    found, remedy = _unused_gpu(torch)
    threads = torch.get_num_threads()
    if not remedy and threads > 2 * cores:
        fewer = max(1, round(cores))
        remedy = f"PyTorch starts {threads} threads; set OMP_NUM_THREADS={fewer} before JupyterLab starts"
    elif not remedy and cores < 2:
        remedy = "lessons that train will take about twice as long as they say"
    return Check("device", cpu + found, remedy, {"cores": cores, "threads": threads})


def _unused_gpu(torch) -> tuple[str, str]:
    """What there is to say of a GPU that PyTorch does not use, and the remedy; both empty where there is none."""
    gpu = nvidia_gpu()
    if gpu is None:
        return "", ""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return f"; CUDA_VISIBLE_DEVICES hides the GPU ({gpu.name})", ""
    if gpu.complaint:
        remedy = "restart the machine; if that does not help, install NVIDIA's driver again" + ON_CPU
        return f"; the GPU's driver ({gpu.name}) does not answer: {gpu.complaint}", remedy
    if torch.version.cuda is None:
        if sys.platform == "win32":
            remedy = "take the command for CUDA from pytorch.org/get-started, with torch==2.13.0"
        else:
            remedy = "remove .venv, then `make lab TORCH_INDEX=pypi`, some gigabytes"
        return f"; the GPU ({gpu.name}) is unused: this PyTorch is built for the CPU alone", remedy + ON_CPU
    try:
        torch.cuda.init()
        reason = "no reason given"
    except (RuntimeError, AssertionError) as error:
        reason = first_line(error)
    remedy = f"renew NVIDIA's driver: this PyTorch is built for CUDA {torch.version.cuda}" + ON_CPU
    return f"; the GPU ({gpu.name}) is unused: {reason}", remedy


def usable_cores() -> float:
    """Cores that this process may use: those it may run on, or fewer where a container limits its time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return min(cores, round(int(quota) / int(period), 1))
    except (OSError, ValueError):  # "max": no limit
        return cores


def check_memory() -> Check:
    """Memory that is free now, within a container's limit; unknown on systems that do not tell."""
    try:
        import psutil  # comes with ipykernel

        total, free = psutil.virtual_memory()[:2]
    except ImportError:
        return Check("memory", "unknown on this system")
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        total = min(total, limit)
        free = min(free, limit - used + int(stat["inactive_file"]))  # which the system gives back when asked
    except (OSError, ValueError, KeyError):
        pass
    free, total = free / 2**30, total / 2**30
    remedy = f"{MEMORY_NEEDED:.0f} GiB are needed; close other programs and other notebooks' kernels"
    numbers = {"free_gib": round(free, 2), "total_gib": round(total, 2)}
    return Check("memory", f"{free:.1f} of {total:.1f} GiB free", "" if free >= MEMORY_NEEDED else remedy, numbers)


def check_disk() -> Check:
    """Room where the lessons write: their own folder, temporary files, and the cache."""
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:  # Python looks for a folder that takes a file, and found none
        return Check("disk", "no folder takes a temporary file: the disk is full", "free some space on the disk")
    free: dict[int, tuple[float, str]] = {}
    for what, folder in (("here", Path.cwd()), ("temporary files", temporary), ("the cache", cache_dir())):
        while not folder.exists():
            folder = folder.parent
        free.setdefault(folder.stat().st_dev, (shutil.disk_usage(folder).free / 2**30, f"{what} ({shown(folder)})"))
    least, where = min(free.values())
    found = f"{least:.1f} GiB free" if least >= DISK_NEEDED else f"{least * 1024:.0f} MiB free for {where}"
    remedy = "" if least >= DISK_NEEDED else f"{DISK_NEEDED} GiB are needed; empty the trash, or remove what is large"
    return Check("disk", found, remedy, {"free_gib": round(least, 2)})
