"""`python -m moe_lessons` is the command `moe-lessons`."""

import sys

# In words that an old Python reads too; the rest of the package it cannot.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "moe-lessons: Python %d.%d is too old; the course needs 3.11 to 3.14: install one, then `make lab`"  # noqa: UP031
        % sys.version_info[:2]
    )

from moe_lessons.cli import main

sys.exit(main())
