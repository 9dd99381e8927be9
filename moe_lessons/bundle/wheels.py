"""The wheels of a bundle: the course's own, and level by level what it needs, downloaded by pip."""

import importlib.util
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from moe_lessons.bundle.targets import PLATFORMS, Target

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EXTRAS = frozenset({"interop"})
NO_NETWORK = re.compile(
    r"NameResolution|getaddrinfo|Temporary failure in name resolution|NewConnectionError|Network is unreachable|"
    r"Connection refused|ConnectTimeout|Max retries exceeded|ProxyError|Read timed out|Connection reset"
)
FULL = re.compile(r"No space left on device|Errno 28|Disk quota exceeded")
Fetch = Callable[[list[str], Target, Path], None]


class Wanted(NamedTuple):
    """A package on its way into the bundle."""

    requirement: Requirement
    extras: frozenset[str]


def read_pins(constraints: Path) -> dict[str, str]:
    """The versions that the course is tested with, by name."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def build_course(root: Path, folder: Path) -> Path:
    """The course's own wheel, built anew from its sources into `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", scratch, "--quiet"]
        if importlib.util.find_spec("hatchling"):  # else pip fetches it
            command.append("--no-build-isolation")
        _pip([*command, str(root)])
        (built,) = Path(scratch).glob("*.whl")
        for old in folder.glob("moe_lessons-*.whl"):
            old.unlink()
        target = folder / built.name
        target.write_bytes(built.read_bytes())
    return target


def collect(
    course: Path, target: Target, pins: Mapping[str, str], fetch: Fetch | None = None, say: Callable = lambda _: None
) -> set[str]:
    """Bring every wheel that the course needs on `target` beside `course`; return the names of their files.

    A wheel that is there already, and whole, is not fetched again. Raises OSError, in one sentence, where one cannot
    be had.
    """
    fetch, folder = fetch or download, course.parent
    found: dict[str, Path] = {"moe-lessons": course}
    seen: dict[str, frozenset[str]] = {"moe-lessons": EXTRAS}
    level = [*_requirements(course, target, EXTRAS), Wanted(Requirement("pip"), frozenset())]
    while level:
        lacking = {}
        for requirement, _ in level:
            name = canonicalize_name(requirement.name)
            if name not in found and (there := _here(folder, requirement, pins, target)):
                found[name] = there
            elif name not in found:
                lacking[name] = requirement
        if lacking:
            say(f"{target}: {len(found)} packages are here, fetching {', '.join(sorted(lacking))}")
            fetch([_exact(requirement, pins, target) for requirement in lacking.values()], target, folder)
        for name, requirement in lacking.items():
            there = _here(folder, requirement, pins, target)
            if there is None:
                raise OSError(f"pip brought no wheel of {requirement} for {target}; run the command again")
            found[name] = there
        following = []
        for requirement, extras in level:
            name = canonicalize_name(requirement.name)
            new = extras - seen.get(name, frozenset())
            if name not in seen or new:
                seen[name] = seen.get(name, frozenset()) | extras
                following += _requirements(found[name], target, seen[name])
        level = following
    return {path.name for path in found.values()}


def _requirements(wheel: Path, target: Target, extras: frozenset[str]) -> list[Wanted]:
    """What a wheel asks for on this machine."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/METADATA")]
        lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist", [])
    requirements = [Requirement(line) for line in lines]
    return [Wanted(r, frozenset(r.extras)) for r in requirements if target.applies(r.marker, extras)]


def _exact(requirement: Requirement, pins: Mapping[str, str], target: Target) -> str:
    """The requirement as pip shall read it: the tested version, and of PyTorch the build for this machine."""
    name = canonicalize_name(requirement.name)
    if name not in pins:
        return f"{requirement.name}{requirement.specifier}"
    local = PLATFORMS[target.platform].local if name == "torch" else ""
    return f"{requirement.name}=={pins[name]}" + (f"+{local}" if local else "")


def _here(folder: Path, requirement: Requirement, pins: Mapping[str, str], target: Target) -> Path | None:
    """A wheel that fits and is whole, from this run or from one that was stopped; a damaged one is removed."""
    exact = Requirement(_exact(requirement, pins, target))
    for path in sorted(folder.glob("*.whl"), reverse=True):
        if not target.takes(path.name):
            continue
        name, version, _, _ = parse_wheel_filename(path.name)
        if name == canonicalize_name(exact.name) and exact.specifier.contains(version, prereleases=True):
            if _is_whole(path):
                return path
            path.unlink()
    return None


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError):
        return False


def download(requirements: Iterable[str], target: Target, folder: Path, index: str | None = None) -> None:
    """Let pip fetch wheels, and nothing but wheels, for this machine; OSError in one sentence where it cannot."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"]
    command += [
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--retries",
        "3",
        "--dest",
        str(folder),
        *target.pip_options,
    ]
    if PLATFORMS[target.platform].local and any(name.startswith("torch==") for name in requirements):
        command += ["--extra-index-url", index or CPU_INDEX] if index != "pypi" else []
    _pip([*command, *requirements])


def _pip(command: list[str]) -> None:
    """Run pip, once more after a failure, for a network may hesitate; what went wrong is said in one sentence."""
    for pause in (2.0, None):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if not run.returncode:
            return
        if pause is None or FULL.search(run.stderr):
            raise OSError(explain(run.stderr or run.stdout))
        time.sleep(pause)


def explain(words: str) -> str:
    """pip's last words as one sentence that says what to do."""
    if FULL.search(words):
        return "the disk is full; free some space and run the command again, which goes on where it was"
    if "No module named pip" in words:
        return "this Python has no pip; run `python -m ensurepip`, or use the .venv that `make lab` makes"
    errors = re.findall(r"^\s*ERROR: (.+)$", words, re.MULTILINE)
    last = (errors or words.strip().splitlines() or ["it gave no reason"])[-1].strip()
    if NO_NETWORK.search(words):
        return "the network does not answer; run the command again when it does, and it goes on where it was"
    if "No matching distribution" in words and "+cpu" in words:
        return (
            "PyTorch's build for the CPU was not found; set TORCH_INDEX to a place that has it (usually "
            f"{CPU_INDEX}), or look whether the network lets you reach that"
        )
    return f"pip failed: {last}"
