"""`python -m moe_lessons` is the command `moe-lessons`."""

import sys

from moe_lessons.cli import main

sys.exit(main())
