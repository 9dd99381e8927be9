"""The interpreter and the packages: which are here, and whether they are those that the course is tested with."""

import platform
import sys
from importlib import metadata
from pathlib import Path

from moe_lessons.checkup.check import REINSTALL, Check, first_line, shown

OLDEST, NEWEST = (3, 11), (3, 14)
# What the lessons compute and draw with; torch and Jupyter's parts have checks of their own.
NAMED = ("numpy", "safetensors", "tokenizers", "matplotlib", "transformers")
VISUAL_C = "install Microsoft's Visual C++ Redistributable (aka.ms/vc14/vc_redist.x64.exe)"


def check_python() -> Check:
    """The interpreter's version, and its width."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    remedy = ""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        remedy = "the course needs 3.11 to 3.14; install one, remove .venv, and `make lab PYTHON=python3.12`"
    elif sys.maxsize < 2**32:
        found += ", 32 bits"
        remedy = "PyTorch needs a Python of 64 bits; install one, remove .venv, and `make lab` again"
    return Check("Python", found, remedy)


def check_torch() -> Check:
    """PyTorch, and whether it can compute."""
    try:
        import torch

        torch.ones(2, 2).matmul(torch.ones(2, 2))
    except ModuleNotFoundError as error:
        mine = _own_python()
        remedy = f"start the course's own Python: {mine} -m moe_lessons doctor" if mine else REINSTALL
        return Check("PyTorch", f"{error.name} is not installed in {shown(Path(sys.executable))}", remedy)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        remedy = VISUAL_C if platform.system() == "Windows" and isinstance(error, OSError) else REINSTALL
        return Check("PyTorch", f"does not work: {first_line(error)}", remedy)
    return Check("PyTorch", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _own_python() -> str:
    """The Python that `make lab` made, where another one is running; empty where there is none."""
    own = Path(__file__).parents[2] / ".venv" / ("Scripts" if platform.system() == "Windows" else "bin") / "python"
    return shown(own) if own.exists() and Path(sys.executable).parent != own.parent else ""


def check_packages() -> Check:
    """Every package that the course asks for, in a version that it allows; those that differ from the tested ones."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return Check("packages", "packaging is not installed", REINSTALL)
    versions, problems = {}, []
    for requirement in map(Requirement, _requirements()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{requirement.name} is missing")
            continue
        versions[requirement.name] = version
        if not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement.name} is {version}, but {requirement.specifier} is needed")
    if problems:
        return Check("packages", "; ".join(problems), REINSTALL)
    for name in NAMED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions.pop(name, None)
    found = ", ".join(f"{name} {versions[name]}" for name in NAMED if name in versions)
    if "transformers" not in versions:
        found += ", without transformers (lessons 03 and 13 show less)"
    pinned = _pinned()
    differing = sorted(n for n, v in versions.items() if n in pinned and v.partition("+")[0] != pinned[n])
    if differing:
        found += "; not as tested: " + ", ".join(f"{n} {versions[n]} ({pinned[n]})" for n in differing)
    return Check("packages", found)


def _requirements() -> list[str]:
    """What the course asks for; nothing where it runs without having been installed."""
    try:
        return metadata.requires("moe-lessons") or []
    except metadata.PackageNotFoundError:
        return []


def _pinned() -> dict[str, str]:
    """The versions that the course is tested with, as constraints.txt of a checkout says."""
    try:
        lines = (Path(__file__).parents[2] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
