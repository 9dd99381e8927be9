"""How long Python takes until the course, or what it stands on, is there."""

import subprocess
import sys
from functools import partial

from moe_lessons.benchmark.timing import Timing, interleaved

STATEMENTS = {
    "python": "pass",
    "import moe_lessons": "import moe_lessons",
    "import torch": "import torch",
    "moe_lessons.Transformer": "from moe_lessons import Transformer",
    "moe-lessons --help": "import sys; from moe_lessons.cli import main; sys.stdout = None; main(['--help'])",
}


def compare(rounds: int, statements: dict[str, str] = STATEMENTS) -> dict[str, Timing]:
    """Seconds from the start of a new Python to its end, for each statement; files come from the system's cache."""
    ways = {name: partial(_run, statement) for name, statement in statements.items()}
    return interleaved(ways, rounds, warmup=1)


def _run(statement: str) -> None:
    subprocess.run([sys.executable, "-c", statement], check=True, stdin=subprocess.DEVNULL, capture_output=True)
