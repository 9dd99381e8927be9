"""What is being measured on: the processor, the versions, and the speed that its maker promises."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import torch

# Products of dense matrices in bfloat16, in FLOP/s, from NVIDIA's data sheets; the first name that fits counts.
PEAK = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


class Machine(NamedTuple):
    """Where and with what a measurement was made."""

    device: str
    cores: int
    threads: int  # of PyTorch
    python: str
    torch: str
    transformers: str  # empty where it is missing
    system: str
    peak: float | None  # FLOP/s in bfloat16 of a known GPU


def describe(device: torch.device) -> Machine:
    """This machine, with the device that computes."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = _processor()
    try:
        transformers = metadata.version("transformers")
    except metadata.PackageNotFoundError:
        transformers = ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}"
    threads, peak = torch.get_num_threads(), peak_flops(name) if device.type == "cuda" else None
    return Machine(name, cores, threads, platform.python_version(), torch.__version__, transformers, system, peak)


def peak_flops(name: str) -> float | None:
    """FLOP/s in bfloat16 of the GPU with this name; None where it is not in the table."""
    return next((peak for known, peak in PEAK.items() if known in name), None)


def _processor() -> str:
    """The processor's name; its architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
