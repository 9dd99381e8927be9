"""The thread that empties the outbox, as soon as it can, and with more and more patience where it cannot."""

import random
import threading
from collections.abc import Mapping
from typing import Any

from moe_lessons.outbox.delivery import Busy, deliver
from moe_lessons.outbox.entries import entry
from moe_lessons.outbox.membership import membership
from moe_lessons.outbox.waiting import keep

FIRST, LONGEST = 0.5, 15.0  # seconds between two tries


class Sender(threading.Thread):
    """Sends until nothing waits, then sleeps until `wake`. It ends with its kernel; what waits stays in the file."""

    def __init__(self) -> None:
        super().__init__(name="moe-lessons class", daemon=True)
        self._news = threading.Event()

    def wake(self) -> None:
        self._news.set()

    def run(self) -> None:
        wait = 0.0
        while True:
            self._news.wait(None if wait == 0 else wait)
            self._news.clear()
            wait = self._try_all(wait)

    def _try_all(self, waited: float) -> float:
        """Send what there is; 0 where all of it went, else the seconds to the next try."""
        try:
            while (member := membership()) is not None and deliver(member):
                waited = 0.0
            return 0.0
        except Busy as busy:
            return busy.seconds
        except Exception:  # a lesson must not see it; `moe-lessons join --show` says what waits
            longer = min(LONGEST, max(FIRST, 2 * waited))
            return longer * random.uniform(0.7, 1.0)  # thirty machines shall not come back at once


_LOCK = threading.Lock()
_SENDER: Sender | None = None


def put(kind: str, fields: Mapping[str, Any]) -> None:
    """Write an entry down and have it sent. Raises ValueError or OSError where that cannot be done."""
    keep(entry(kind, fields))
    wake()


def wake() -> None:
    """Have the outbox emptied, by this process's one thread."""
    global _SENDER
    with _LOCK:
        if _SENDER is None or not _SENDER.is_alive():  # a forked process has none of its parent's threads
            _SENDER = Sender()
            _SENDER.start()
    _SENDER.wake()
