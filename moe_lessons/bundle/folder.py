"""The folder that is carried into the room."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from moe_lessons.bundle import wheels
from moe_lessons.bundle.targets import Target
from moe_lessons.files import replacing
from moe_lessons.resources import notebooks_path

SPACE_NEEDED = 1.0  # GiB for each kind of machine: PyTorch alone is a fifth
MANIFEST = "MANIFEST.sha256"  # written last: a folder without it is not complete
CARD = "bundle.json"
TEMPLATES = Path(__file__).parent / "templates"
README = """\
Linux, macOS: sh install.sh      Windows: install.bat      Needs {machines}, and no network.
It fills the folder moe-lessons in your home (another one: sh install.sh /path/to/folder); start.sh there starts.
Stopped, or something is odd? The same again goes on where it was; .venv/bin/moe-lessons doctor says what is wrong.
"""


def course_root() -> Path:
    """The course's own folder, which has what a bundle is made from; ValueError where it was installed as a wheel."""
    root = notebooks_path().parent
    if not all((root / name).is_file() for name in ("pyproject.toml", "constraints.txt")):
        raise ValueError("a bundle is made from the course's own folder (git clone), and this is an installed package")
    return root


def make_bundle(
    folder: Path, targets: Sequence[Target], fetch: wheels.Fetch | None = None, say: Callable = print
) -> int:
    """Fill `folder` for these machines and return its size in bytes; what is there from a stopped run is used.

    Raises ValueError where `folder` is no place for a bundle, OSError where something cannot be had or written.
    """
    root = course_root()
    _prepare(folder, len(targets))
    if not (folder / CARD).exists():
        _write_card(folder, targets)  # by which a stopped run is known
    place = folder / "wheels"
    place.mkdir(exist_ok=True)
    course = wheels.build_course(root, place)  # may fail, and a complete bundle stays one
    (folder / MANIFEST).unlink(missing_ok=True)
    _write_card(folder, targets)
    pins = wheels.read_pins(root / "constraints.txt")
    fetch = fetch or partial(wheels.download, index=os.environ.get("TORCH_INDEX") or None)
    needed: set[str] = set()
    for target in targets:
        needed |= wheels.collect(course, target, pins, fetch, say)
    for path in place.iterdir():
        if path.name not in needed:  # of an earlier version, or of a stopped download
            path.unlink()
    for template in TEMPLATES.iterdir():
        shutil.copy(template, folder / template.name)
    machines = "Python " + " or ".join(sorted({target.python for target in targets}))
    (folder / "README.txt").write_text(README.format(machines=machines), encoding="utf-8")
    return _seal(folder)


def _write_card(folder: Path, targets: Sequence[Target]) -> None:
    card = {"for": [list(target) for target in targets]}
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _prepare(folder: Path, n_targets: int) -> None:
    """Make the folder, or accept one that a bundle was begun in."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"DIR is {str(folder)!r}, which is a file; name a folder, or one that does not exist yet")
    if folder.exists() and any(folder.iterdir()) and not (folder / CARD).exists():
        raise ValueError(f"DIR is {str(folder)!r}, which holds other things; name a folder that does not exist yet")
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in folder.glob("wheels/*.whl"))
    free = (shutil.disk_usage(folder).free + there) / 2**30
    if free < SPACE_NEEDED * n_targets:
        raise OSError(
            f"{folder} has {free:.1f} GiB free, but a bundle for {n_targets} kinds of machines needs "
            f"{SPACE_NEEDED * n_targets:.0f}; free some space or name another folder"
        )


def _seal(folder: Path) -> int:
    """Write the checksums of all files, and return their size together."""
    lines, size = [], 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
        size += path.stat().st_size
    with replacing(folder / MANIFEST) as scratch:
        scratch.write_text("".join(lines), encoding="utf-8")
    return size
