"""A block of code that is stopped after so many seconds, on Windows and in a thread too."""

import contextlib
import ctypes
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any


class OutOfTime(BaseException):
    """Not an Exception, so that a learner's `except Exception` cannot swallow it."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block once it has run for so many seconds.

    With SIGALRM (Linux, macOS; main thread) that also ends a sleep. Elsewhere a second thread raises it between two
    steps of the Python program; what it cannot interrupt, a single long call into C, it reports in words.
    """
    main = threading.current_thread() is threading.main_thread()
    with _alarm(seconds) if main and hasattr(signal, "SIGALRM") else _watchdog(seconds):
        yield


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    watched = ctypes.c_ulong(threading.get_ident())
    over, deciding = threading.Event(), threading.Lock()

    def watch() -> None:
        if over.wait(seconds):
            return
        with deciding:  # so that nothing is raised once the block has come to its end
            if over.is_set():
                return
            ctypes.pythonapi.PyThreadState_SetAsyncExc(watched, ctypes.py_object(OutOfTime))
        if not over.wait(seconds):
            print(
                f"This has taken {2 * seconds:g} seconds and cannot be stopped from here; interrupt the kernel.",
                file=sys.stderr,
            )

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        with deciding:
            over.set()
        watcher.join()
        # Asked for but not yet raised: the block has ended by itself in the last moment.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(watched, None)
