"""What `moe-lessons doctor` looks at: one function for each thing, and one sentence on what to do about a problem.

A broken installation must not stop whoever examines it, so nothing but the standard library is imported on top.
"""

from collections.abc import Callable, Iterator

from moe_lessons.checkup.check import REINSTALL, Check, first_line
from moe_lessons.checkup.files import check_cache, check_course
from moe_lessons.checkup.jupyter import check_jupyter, check_kernel, check_widgets
from moe_lessons.checkup.machine import check_device, check_disk, check_memory
from moe_lessons.checkup.python import check_packages, check_python, check_torch
from moe_lessons.checkup.speed import check_speed

__all__ = ["CHECKS", "Check", "check_speed", "examine"]

CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    check_torch,
    check_packages,
    check_device,
    check_memory,
    check_disk,
    check_cache,
    check_jupyter,
    check_kernel,
    check_widgets,
    check_course,
)


def examine(*, speed: bool = False) -> Iterator[Check]:
    """Every check as soon as it is done, in the order in which it is shown; `speed` adds one of ten seconds."""
    for check in (*CHECKS, check_speed) if speed else CHECKS:
        try:
            yield check()
        except Exception as error:  # whatever is broken, the other checks are worth seeing
            name = check.__name__.removeprefix("check_")
            yield Check(name, f"could not be examined ({type(error).__name__}: {first_line(error)})", REINSTALL)
