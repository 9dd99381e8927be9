"""Which class this machine has joined: one small file in the cache folder that its owner alone can read."""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from moe_lessons.files import replacing
from moe_lessons.outbox.place import class_dir, member_path, outbox_path
from moe_lessons.records import held


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A class, by its address and code or by its shared folder, and who one is in it."""

    name: str
    address: str = ""
    code: str = ""
    folder: str = ""
    secret: str = field(default_factory=lambda: secrets.token_hex(16))  # who knows it is this learner

    @property
    def learner(self) -> str:
        """What the class knows this learner by."""
        return learner_id(self.secret)


def learner_id(secret: str) -> str:
    """16 digits that follow from the secret; the secret does not follow from them."""
    return hashlib.sha256(f"learner {secret}".encode()).hexdigest()[:16]


def voter_id(secret: str, key: str) -> str:
    """Who answered one question: the same for a second answer, another one for every other question.

    Without the secret, which the class does not keep, nobody can say whose it is.
    """
    return hashlib.sha256(f"voter {secret} {key}".encode()).hexdigest()[:16]


def membership() -> Membership | None:
    """The class that this machine has joined; None where there is none, or its file makes no sense."""
    with suppress(OSError, ValueError, TypeError):
        made = json.loads(member_path().read_text(encoding="utf-8"))
        if all(isinstance(value, str) for value in made.values()):
            return Membership(**made)
    return None


def write_private(path: Path, record: Mapping[str, Any]) -> None:
    """Write a small JSON file whole or not at all, readable by its owner alone from its first byte."""
    with replacing(path, 0o600) as scratch:
        scratch.write_text(json.dumps(record, indent=1, allow_nan=False), encoding="utf-8")


def private_dir(path: Path) -> None:
    """Make a folder that its owner alone can enter."""
    path.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        path.chmod(0o700)


def join(member: Membership, entries: Iterable[Mapping[str, Any]] = ()) -> int:
    """Remember this membership, in place of an earlier one; its outbox begins anew with these entries.

    Returns the place in the outbox where they end: what other kernels tell from now on stands behind it.
    """
    lines = b"".join(json.dumps(one, allow_nan=False).encode() + b"\n" for one in entries)
    private_dir(class_dir())
    with held(outbox_path()):
        _forget()
        outbox_path().write_bytes(lines)
        write_private(member_path(), asdict(member))
    return len(lines)


def leave() -> None:
    """Forget the class, and what was or would be sent to it."""
    if class_dir().exists():
        with held(outbox_path()):
            _forget()


def _forget() -> None:
    for path in (member_path(), outbox_path(), class_dir() / "sent.json"):
        path.unlink(missing_ok=True)
