"""Read by every notebook kernel of this environment before its first cell, whichever program starts the kernel."""

from moe_lessons.idle_threads import wait_briefly

wait_briefly()
