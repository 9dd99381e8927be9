"""Set-ups that are broken for real: what tests of the doctor share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from places import ROOT

posix = pytest.mark.skipif(os.name != "posix", reason="a broken state of POSIX systems")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="here the GPU is used")


def doctor(*options: str, python: str = sys.executable, **environment: str) -> dict[str, dict]:
    """What the doctor says in a process of its own, by name of the check."""
    run = subprocess.run(
        [python, "-m", "moe_lessons", "doctor", "--quick", "--json", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode in (0, 1) and "Traceback" not in run.stderr, run.stderr
    checks = {check["name"]: check for check in json.loads(run.stdout)}
    assert run.returncode == int(any(check["remedy"] for check in checks.values()))
    return checks


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
