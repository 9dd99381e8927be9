"""What a learner who joined a class sends: numbers and choices, from a file, by a thread of its own.

Whoever has joined none pays one look for a file that is not there.
"""

from contextlib import suppress
from typing import Any

from moe_lessons.outbox.place import member_path

__all__ = ["tell"]


def tell(kind: str, **fields: Any) -> None:
    """Note for the class what happened, as an entry of this kind (moe_lessons.outbox.entries).

    Nothing in a lesson waits for it, prints because of it or fails with it.
    """
    with suppress(Exception):
        if member_path().exists():
            from moe_lessons.outbox.sender import put

            put(kind, fields)
