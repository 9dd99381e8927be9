"""How long PyTorch's idle threads wait awake: by default so long that a busy machine takes many times as long.

Measured on two busy cores: one training took 110 s by default, 30 s with this wait, and 7 s on one thread; on quiet
cores this wait costs about 3%. It concerns GNU's OpenMP, which PyTorch brings on Linux; other systems have another.
"""

import os

VARIABLE, TURNS = "GOMP_SPINCOUNT", "5000"


def wait_briefly() -> None:
    """Shorten the wait of this process and its children, unless the user has set one; in force if torch comes later."""
    os.environ.setdefault(VARIABLE, TURNS)
