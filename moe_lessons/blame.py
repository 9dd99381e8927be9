"""Where in the learner's own code an exception came from."""

import traceback
from collections.abc import Callable


def deepest_line(error: BaseException, is_theirs: Callable[[str], bool], longest: int | None = None) -> str:
    """` in line 3 of your code (`...`)`, the deepest line in a file that is theirs; nothing where there is none.

    The line itself is cut to `longest` signs.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_theirs(frame.filename)]
    if not frames:
        return ""
    line = (frames[-1].line or "").strip()
    if longest is not None:
        line = cut(line, longest)
    return f" in line {frames[-1].lineno} of your code" + (f" (`{line}`)" if line else "")


def cut(text: str, length: int) -> str:
    """The text, or as much of it as leaves room for dots at its end."""
    return text if len(text) <= length else f"{text[: length - 4]} ..."
