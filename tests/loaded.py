"""Which modules a program has loaded by its end, asked of an interpreter of its own."""

import subprocess
import sys


def loaded_after(program: str) -> set[str]:
    """The names of all loaded modules, with those of their packages."""
    code = f"{program}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())
