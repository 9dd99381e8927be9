"""uv.lock: the versions of constraints.txt with the checksum of every file, for `uv sync`."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from moe_lessons.authoring import folder
from moe_lessons.files import replacing

TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
VERSIONED = 'name = "moe-lessons"\nversion = "0"\n'


def write_lock(torch_index: str = TORCH_INDEX) -> None:
    """Let uv resolve everything within constraints.txt, and keep what it found in uv.lock.

    `torch_index` is a mirror of PyTorch's own index, whose address stands in the lock nevertheless. Raises ValueError
    where uv is not installed, OSError with uv's last words where it fails.
    """
    root = folder.NOTEBOOKS.parent
    # uv would build the course for its version; the lock names none for a project that says it in a module.
    project = (root / "pyproject.toml").read_text(encoding="utf-8").replace('dynamic = ["version"]', 'version = "0"')
    project = project.replace(TORCH_INDEX, torch_index)
    pins = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    limits = "".join(f'    "{line}",\n' for line in pins if line and not line.startswith("#"))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        # First within the limits; then without, for uv keeps what a lock has, and the limits need not stand there, too.
        for limited in (True, False):
            text = project.replace("[tool.uv]\n", f"[tool.uv]\nconstraint-dependencies = [\n{limits}]\n")
            (scratch / "pyproject.toml").write_text(text if limited else project, encoding="utf-8")
            _uv("lock", "--quiet", "--directory", name)
        found = (scratch / "uv.lock").read_text(encoding="utf-8")
    if found.count(VERSIONED) != 1:
        raise OSError(f"uv.lock has {found.count(VERSIONED)} entries for the course instead of one; is uv another one?")
    found = found.replace(VERSIONED, 'name = "moe-lessons"\n')
    if torch_index != TORCH_INDEX:
        files = "https://download-r2.pytorch.org/whl/cpu/torch-"  # where PyTorch's index sends those who ask
        found = re.sub(re.escape(torch_index) + "/torch-", files, found).replace(torch_index, TORCH_INDEX)
    with replacing(root / "uv.lock") as fresh:
        fresh.write_text(found, encoding="utf-8")


def _uv(*words: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ValueError("uv is not installed; type: pip install uv")
    run = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise OSError(f"uv {' '.join(words)} failed: {run.stderr.strip()}")
