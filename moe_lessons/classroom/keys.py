"""What opens a class: a code for learners, short enough to type, and a token for the teacher; a restart keeps both."""

import json
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from moe_lessons.classroom.journal import NAME, Journal
from moe_lessons.files import moved_aside
from moe_lessons.outbox.membership import private_dir, write_private
from moe_lessons.resources import cache_dir

_SIGNS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another one
LENGTH = 8  # 31 ** 8, about 10 ** 12: guessing a thousand a second, half of them take fourteen years


class Keys(NamedTuple):
    """A class's code and token."""

    code: str  # as it is shown, such as "k3f9-7wpx"
    token: str


def classroom_dir() -> Path:
    """Where the teacher's side of a class lies; MOE_LESSONS_CACHE moves it. Not created here."""
    return cache_dir() / "classroom"


def keys(folder: Path) -> Keys:
    """The keys of the class in this folder; new ones where there are none, or their file makes no sense.

    Raises OSError for a file that is there and cannot be read: new keys would shut out whoever has the old ones.
    """
    path = folder / "class.json"
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
        noted = json.loads(path.read_text(encoding="utf-8"))
        found = Keys(str(noted["code"]), str(noted["token"]))
        if len(plain(found.code)) == LENGTH and len(found.token) == 48:
            return found
    code = "".join(secrets.choice(_SIGNS) for _ in range(LENGTH))
    made = Keys(f"{code[:4]}-{code[4:]}", secrets.token_hex(24))
    private_dir(folder)
    write_private(path, made._asdict())
    return made


def plain(code: str) -> str:
    """A code as it is compared: without the dash, in small letters."""
    return code.replace("-", "").strip().lower()


def set_aside(folder: Path) -> Path | None:
    """Move an earlier class out of the way, for a new one; where it is now, or None where there was none.

    Raises ValueError where it is open: whoever serves it would go on under a name that is the new one's by then.
    """
    if not (folder / "class.json").exists():
        return None
    Journal(folder / NAME).close()  # which only one process can have open
    return moved_aside(folder, time.strftime("%Y%m%d-%H%M%S"))
