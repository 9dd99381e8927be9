"""`moe-lessons doctor`: what this machine has for the course, and one sentence on each thing it lacks."""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from moe_lessons.resources import cache_dir, data_path, notebooks_path

MEMORY_NEEDED = 2.0  # GiB free while a lesson trains
DISK_NEEDED = 0.5  # GiB for corpora, checkpoints and runs
REINSTALL = "run `make lab` in the course's folder, or pip install it again"
# What a browser needs to draw a widget, by package: folders below share/jupyter/labextensions.
FRONT_ENDS = {"ipywidgets": "@jupyter-widgets/jupyterlab-manager", "anywidget": "anywidget"}


class Check(NamedTuple):
    """One thing looked at; `remedy` is empty where nothing is wrong."""

    name: str
    found: str
    remedy: str = ""


def check_python() -> Check:
    """The interpreter's version."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("Python", found, "" if good else "the course is tested with 3.11 to 3.13; install one of these")


def check_torch() -> Check:
    """PyTorch, and whether it can compute."""
    try:
        import torch

        torch.ones(2, 2) @ torch.ones(2, 2)
    except (ImportError, OSError, RuntimeError) as error:
        return Check("PyTorch", f"does not work: {error}".splitlines()[0], REINSTALL)
    return Check("PyTorch", f"{torch.__version__}, {torch.get_num_threads()} threads")


def check_device() -> Check:
    """Where the lessons will compute."""
    try:
        import torch

        from moe_lessons.device import choose_device

        device = choose_device()
        if device.type == "cuda":
            properties = torch.cuda.get_device_properties(device)
            return Check("device", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    except (ImportError, OSError) as error:
        return Check("device", str(error).splitlines()[0], REINSTALL)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    remedy = "" if cores >= 2 else "lessons 04 and 07 will take about twice as long as they say"
    return Check("device", f"CPU, {cores} {'core' if cores == 1 else 'cores'}", remedy)


def check_memory() -> Check:
    """Memory that is free now; unknown on systems that do not tell."""
    try:
        import psutil  # comes with ipykernel

        free, total = (x / 2**30 for x in psutil.virtual_memory()[1::-1])
    except ImportError:
        return Check("memory", "unknown on this system")
    good = free >= MEMORY_NEEDED
    remedy = f"{MEMORY_NEEDED:.0f} GiB are needed; close other programs and other notebooks' kernels"
    return Check("memory", f"{free:.1f} of {total:.1f} GiB free", "" if good else remedy)


def check_cache() -> Check:
    """Whether results that take long can be kept, and whether there is room for them."""
    folder = cache_dir()
    elsewhere = "set MOE_LESSONS_CACHE to a folder that you can write to"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written to see whether it can be")
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Check("cache", f"{folder} cannot be written ({error.strerror})", elsewhere)
    remedy = "" if free >= DISK_NEEDED else f"{DISK_NEEDED} GiB are needed; free some space, or {elsewhere}"
    home = Path.home()
    shown = f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)
    return Check("cache", f"{shown}, {free:.1f} GiB free", remedy)


def check_jupyter() -> Check:
    """JupyterLab and a kernel that draws widgets in step with the cells."""
    try:
        lab, kernel = metadata.version("jupyterlab"), metadata.version("ipykernel")
    except metadata.PackageNotFoundError as error:
        return Check("Jupyter", f"{error.name} is not installed", REINSTALL)
    remedy = "" if int(kernel.split(".")[0]) < 7 else "ipykernel 7 mixes up widgets; pip install 'ipykernel<7'"
    return Check("Jupyter", f"JupyterLab {lab}, ipykernel {kernel}", remedy)


def check_widgets() -> Check:
    """The Python half of the widgets, and their half for the browser."""
    from jupyter_core.paths import jupyter_path

    found = []
    for package, extension in FRONT_ENDS.items():
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            return Check("widgets", f"{package} is not installed", REINSTALL)
        if not any((Path(path) / extension).is_dir() for path in jupyter_path("labextensions")):
            return Check("widgets", f"JupyterLab does not see {package}'s extension", REINSTALL)
    return Check("widgets", ", ".join(found))


def check_course() -> Check:
    """The course's own files."""
    try:
        for name in ("claims.toml", "tokenizer.json", "checkpoints", "models"):
            data_path(name)
        lessons = len(list(notebooks_path().glob("[0-9]*.ipynb")))
    except FileNotFoundError as error:
        return Check("course", str(error), REINSTALL)
    return Check("course", f"{lessons} lessons, with their data")


CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    check_torch,
    check_device,
    check_memory,
    check_cache,
    check_jupyter,
    check_widgets,
    check_course,
)


def examine() -> list[Check]:
    """Everything the doctor looks at, in the order in which it is shown."""
    return [check() for check in CHECKS]


def report(checks: list[Check]) -> str:
    """The checks as lines of text, remedies below what they are for."""
    lines = []
    for check in checks:
        lines.append(f"{'PROBLEM' if check.remedy else 'ok':8}{check.name:9}{check.found}")
        if check.remedy:
            lines.append(f"{'':17}-> {check.remedy}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One switch."""
    parser.add_argument("--json", action="store_true", help="the same for programs")


def run(args: argparse.Namespace) -> int:
    """Print the checks; 1 where there is a problem."""
    checks = examine()
    if args.json:
        print(json.dumps([check._asdict() for check in checks], indent=2))
    else:
        print(report(checks))
    return int(any(check.remedy for check in checks))
