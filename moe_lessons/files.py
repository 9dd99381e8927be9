"""Files that are written whole or not at all: first beside their place under another name, then renamed."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A hidden name beside `path` to write to; when the block ends, that file takes the place of `path`.

    Where the block fails, a full disk and an interruption included, the old file stays as it was and nothing lies
    beside it. Its folder is made where there is none; `mode` 0o600 keeps the file to its owner. Raises OSError where
    there is no space or no right to write.
    Nothing is flushed to the disk: this is against a program's end and other readers, not against a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")  # also two threads of one process must not meet
    try:
        scratch.touch(mode)
        rights = scratch.stat().st_mode  # those of any new file here; safetensors gives them to the owner alone
        yield scratch
        scratch.chmod(rights)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def moved_aside(folder: Path, mark: str) -> Path:
    """Rename a folder to its name with a mark behind it, and say what it is called now. Raises OSError."""
    aside = folder.with_name(f"{folder.name}-{mark}")
    folder.rename(aside)
    return aside
