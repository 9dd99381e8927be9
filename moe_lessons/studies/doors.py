"""The ways in, each tried in a bare Debian: what is typed, and the seconds from nothing to the first router picture.

    python -m moe_lessons.studies.doors --out data/studies/doors.json

makes the record that TEACHING.md quotes. For each door debootstrap's smallest system gets the packages that the door
needs, a clone of the course and an empty home; the commands are typed there until JupyterLab answers, and then a kernel
runs lesson 00 as far as its first live picture. Needs Linux, root, debootstrap and a clone. Files that the machine
keeps for installations (a mirror's certificate, wheels on the disk) are lent by `--lend PATH`, and the record says so.
uv asks PyTorch's own index alone; where that cannot be reached, pip brings PyTorch beforehand, untimed.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from moe_lessons.benchmark.machine import describe
from moe_lessons.resources import notebooks_path
from moe_lessons.studies.bare_system import DEBIAN, BareSystem, make_bare
from moe_lessons.studies.keep import keep

_LAB = "jupyter lab --allow-root --no-browser"  # as root, on a system without a screen
_PIP = "pip install --quiet --disable-pip-version-check"
_PINS = "-c /course/constraints.txt"
_OWN = ". /own/bin/activate &&"
_MAKE_OWN = "python3 -m venv /own"
_TORCH = f"/own/bin/python -m pip --python .venv/bin/python install --quiet {_PINS} torch"
# Of what the course needs, what Colab brings, by its own list of 2026 as far as known.
_HOSTED_HAS = ("torch", "numpy", "safetensors", "tokenizers", "matplotlib", "ipywidgets", "jupyterlab", "ipykernel")
_HOSTED_HAS += ("tqdm", "platformdirs", "packaging", "babel")
_PICTURE = """
import json
from moe_lessons.resources import notebooks_path
from moe_lessons.studies.room import run
(lesson,) = notebooks_path().glob("00_*.ipynb")
print(json.dumps(run("as it comes", 1, lesson, 1)["picture"]["last"]))
"""


class Door(NamedTuple):
    """A way in."""

    packages: tuple[str, ...]  # of Debian
    commands: tuple[str, ...]  # typed in the course's folder; the last one starts JupyterLab
    python: str  # of the environment that they make
    before: tuple[str, ...] = ()  # what such a machine has already: untimed, by root
    offline: bool = False
    user: str = "root"
    torch_by: str = ""  # after the first command, untimed: what brings PyTorch where its index cannot be reached


def container(dockerfile: str) -> Door:
    """The door that a Dockerfile describes: its packages, the user's commands, and the one that starts JupyterLab.

    Raises ValueError where it is not written as the course's own, in which a stage of root's ends with USER.
    """
    joined = dockerfile.replace("\\\n", " ")
    found = re.search(r"--no-install-recommends (.*?)&&.*?(useradd.*?)&&.*?\nUSER (\w+)(.*)", joined, re.DOTALL)
    started = re.search(r"^CMD (\[.*\])$", joined, re.MULTILINE)
    if not found or not started:
        raise ValueError("the Dockerfile has no packages, USER and CMD; see .devcontainer/Dockerfile")
    packages, account, user, rest = found.groups()
    commands = (*re.findall(r"^RUN (.*)$", rest, re.MULTILINE), shlex.join(json.loads(started[1])))
    copied = f"chown -R {user}:{user} /course"  # as COPY --chown does
    return Door(tuple(packages.split()), commands, ".venv/bin/python", (account, copied), user=user)


def doors(root: Path, *, index: bool = True) -> dict[str, Door]:
    """Every door that a Debian without a container engine can try, by name.

    `root` is the clone's folder; `index`: PyTorch's own index can be reached from here.
    """
    but_torch, as_it_is = ("", "") if index else (" --no-install-package torch", " --no-sync")
    return {
        "make lab": Door(("ca-certificates", "git", "make", "python3-venv"), ("make lab",), ".venv/bin/python"),
        "uv": Door(
            ("ca-certificates", "python3-venv"),
            (
                f"{_OWN} uv sync --quiet --extra interop{but_torch}",
                f"{_OWN} uv run{as_it_is} moe-lessons copy work",
                f"{_OWN} uv run{as_it_is} {_LAB} work",
            ),
            ".venv/bin/python",
            (_MAKE_OWN, f"{_OWN} {_PIP} uv"),
            torch_by="" if index else _TORCH,
        ),
        "pip": _by_pip(f"{_PIP} {_PINS} -e ."),
        "wheel": _by_pip(f"{_PIP} {_PINS} /lent/*.whl"),
        "hosted": _by_pip(
            "PIP_FIND_LINKS=/lent ipython /lent/first_cell.ipy",
            (_MAKE_OWN, f"{_OWN} {_PIP} {_PINS} {' '.join(_HOSTED_HAS)}"),
        ),
        "bundle": Door(
            ("python3-venv",),
            ("sh /lent/room/install.sh /root/moe-lessons", "sh /root/moe-lessons/start.sh --no-browser"),
            "/root/moe-lessons/.venv/bin/python",
            offline=True,
        ),
        "container": container((root / ".devcontainer" / "Dockerfile").read_text(encoding="utf-8")),
    }


def _by_pip(install: str, before: tuple[str, ...] = ()) -> Door:
    """A door in which an environment of the user's own gets the course by one command."""
    typed = (*(() if before else (_MAKE_OWN,)), f"{_OWN} {install}")
    typed += (f"{_OWN} moe-lessons copy work", f"{_OWN} {_LAB} work")
    return Door(("ca-certificates", "python3-venv"), typed, "/own/bin/python", before)


def through(name: str, door: Door, bare: Path, lend: Sequence[Path]) -> dict[str, Any]:
    """Go through one door, and write down what it took."""
    with BareSystem(bare, lend, door.user, offline=door.offline) as system:
        get = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {' '.join(door.packages)}"
        packages, seconds = system.prepare(get), []
        subprocess.run(["git", "clone", "--quiet", notebooks_path().parent, system.root / "course"], check=True)
        for line in door.before:
            system.prepare(line)
        before = system.bytes_on_disk()
        *first, start = door.commands
        for line in first:
            seconds.append(system.run(line)[0])
            if door.torch_by and line == first[0]:
                system.prepare(door.torch_by)
        served, server = system.serve(start)
        try:
            printed = system.run(f"{door.python} -c {shlex.quote(_PICTURE)}")[1]
        finally:
            server.kill()
            server.wait()
        picture = json.loads(printed.splitlines()[-1])
        return {
            "door": name,
            "commands": len(door.commands),
            "packages": round(packages, 1),  # seconds, as the next four
            "install": round(sum(seconds), 1),
            "served": round(served, 1),
            "picture": picture,
            "all": round(packages + sum(seconds) + served + picture, 1),
            "gb_on_disk": round((system.bytes_on_disk() - before) / 1e9, 2),
            "torch_apart": bool(door.torch_by),
            "offline": door.offline,
        }


def make_gifts(folder: Path, wanted: Sequence[str]) -> None:
    """What doors find in /lent: the course's wheel, the bundle for this machine, the first cell for Colab."""
    root, quiet = notebooks_path().parent, {"check": True, "stdout": subprocess.DEVNULL}
    if {"wheel", "hosted"} & set(wanted):
        subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, root], **quiet)
    if "hosted" in wanted:
        copies = ["hosted", "--into", folder / "hosted", "--unreleased"]
        subprocess.run([sys.executable, "-m", "moe_lessons.authoring", *copies], **quiet)
        (first,) = (folder / "hosted").glob("00_*.ipynb")
        cell = json.loads(first.read_text(encoding="utf-8"))["cells"][0]
        (folder / "first_cell.ipy").write_text("".join(cell["source"]), encoding="utf-8")
    if "bundle" in wanted:
        command = [sys.executable, "-m", "moe_lessons", "bundle", folder / "room", "--python", "3.11"]
        subprocess.run(command, **quiet)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--doors", nargs="+", metavar="NAME", help="default: all that the record lacks")
    parser.add_argument("--lend", type=Path, nargs="+", default=[], metavar="PATH", help="files of this machine's")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="where Debian's packages are")
    parser.add_argument("--no-index", action="store_true", help="PyTorch's own index cannot be reached from here")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    root = notebooks_path().parent
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("debootstrap") or not (root / ".git").exists():
        raise SystemExit("doors are tried on Linux, as root, with debootstrap, from a clone; one of them is missing")
    known = doors(root, index=not args.no_index)
    if unknown := set(args.doors or ()) - known.keys():
        raise SystemExit(f"--doors has {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    rows = json.loads(args.out.read_text(encoding="utf-8"))["doors"] if args.out.exists() else []
    wanted = args.doors or [name for name in known if name not in {row["door"] for row in rows}]
    machine = describe(torch.device("cpu"))
    head = {
        "command": f"python -m moe_lessons.studies.doors --out {args.out}",
        "machine": {"name": machine.device, "cores": machine.cores, "torch": machine.torch},
        "debian": DEBIAN,
        "lent": [str(path) for path in args.lend],
    }
    with tempfile.TemporaryDirectory(prefix="doors-", ignore_cleanup_errors=True) as scratch:
        bare = Path(scratch) / "bare"
        make_bare(bare, args.mirror)
        (bare / "lent").mkdir()
        make_gifts(bare / "lent", wanted)
        for name in wanted:
            rows = [each for each in rows if each["door"] != name] + [through(name, known[name], bare, args.lend)]
            print(rows[-1], flush=True)
            rows.sort(key=lambda each: list(known).index(each["door"]))
            keep(args.out, {**head, "doors": rows})


if __name__ == "__main__":
    main()
