"""The course's own files, and those that earlier runs have kept: whether they can be read as what they are."""

import base64
import errno
import hashlib
import json
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from moe_lessons.checkup.check import REINSTALL, Check, first_line, shown
from moe_lessons.resources import cache_dir, data_path, notebooks_path

ELSEWHERE = "set MOE_LESSONS_CACHE to a folder that you can write to"
FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}
# What comes of removing a damaged file, by the beginning of its path below the cache folder; the last fits all.
REMADE = (
    ("corpus/", "it is built again when next needed"),
    ("ledger.json", "the ledger begins anew, and lessons fill it as they run"),
    ("leaderboard.json", "the board begins anew, and routers are entered again"),
    ("progress.json", "the marks of passed exercises begin anew"),
    ("predictions.json", "what was predicted is lost, and lessons ask again"),
    ("class/member.json", "what waits for the class is lost, and you join it again"),
    ("class/sent.json", "what the class has is sent once more, which it counts once"),
    ("classroom/class.json", "your class gets a new code, which its learners need"),
    ("", "what wrote it can write it again"),
)

#: What lessons read in `data/`, whichever way the course was installed.
_READ = (
    *("claims.toml", "claims-2026.toml", "tokenizer.json", "prompts.toml", "accelerators.toml"),
    *("checkpoints", "models", "predictions", "quiz", "studies", "traces"),
)


def check_cache() -> Check:
    """Whether results that take long can be kept, and whether those that were can be read."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written to see whether it can be" * 256)
        damaged = list(_damaged_in_cache(folder))
    except OSError as error:
        full = "free some space on its disk, or " if error.errno in FULL else ""
        return Check("cache", f"{shown(folder)} cannot be written ({error.strerror})", full + ELSEWHERE)
    if not damaged:
        return Check("cache", shown(folder))
    found = "; ".join(f"{name} is damaged ({why})" for name, why in damaged)
    remedies = dict.fromkeys(
        f"remove {shown(folder / name)}: {next(end for begin, end in REMADE if name.startswith(begin))}"
        for name, _ in damaged
    )
    return Check("cache", f"{shown(folder)}: {found}", "; ".join(remedies))


def _damaged_in_cache(folder: Path) -> Iterator[tuple[str, str]]:
    """The name and the fault of every kept file that cannot be read; one that its writer set aside is not meant."""
    for path in sorted(folder.rglob("*")):
        meant = path.is_file() and not path.name.startswith(".") and ".damaged." not in path.name
        if meant and (fault := _fault(path)):
            yield path.relative_to(folder).as_posix(), fault


def _fault(path: Path) -> str:
    """What is wrong with one file; empty where nothing is, or where its kind is not known."""
    try:
        if path.name.endswith(".safetensors"):
            _read_tensors(path)
        elif path.name.endswith(".tokenizer.json") or path.name == "tokenizer.json":
            from moe_lessons.text.tokenizer import Tokenizer

            Tokenizer.load(path)
        elif path.suffix == ".json":
            _read_json(path)
        elif path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except KeyError as error:
        return f"it has no {error}"
    except (ValueError, TypeError) as error:
        return first_line(error)
    except ImportError:
        return ""  # packages have a check of their own
    return ""


def _read_json(path: Path) -> None:
    """Parse a file, and hold those that lessons read to their shape."""
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    if path.name == "ledger.json":
        from moe_lessons.ledger.book import FILE

        FILE.parsed(text)
    if path.name == "leaderboard.json":
        from moe_lessons.capstone.leaderboard import FILE

        FILE.parsed(text)
    if path.name == "predictions.json":
        from moe_lessons.predictions.store import FILE

        FILE.parsed(text)
    if path.name == "progress.json" and not (isinstance(content, list) and all(isinstance(n, str) for n in content)):
        raise ValueError("it is no list of names")


def _read_tensors(path: Path) -> None:
    """Read all tensors; a corpus is held to the checksum beside it."""
    import safetensors.numpy

    from moe_lessons.text.kept import checksum

    try:
        tensors = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(first_line(error)) from None
    if path.parent.name == "corpus":
        card = path.with_suffix(".json")
        if not card.exists():
            raise ValueError(f"{card.name} is missing")
        if json.loads(card.read_text(encoding="utf-8")).get("sha256") != checksum(tensors):
            raise ValueError("its checksum is wrong")


def check_course() -> Check:
    """The course's own files: there, readable, and where an installer noted checksums, unchanged."""
    try:
        for name in _READ:
            data_path(name)
        lessons = sorted(notebooks_path().glob("[0-9]*.ipynb"))
    except FileNotFoundError as error:
        return Check("course", str(error), REINSTALL)
    data = data_path()
    damaged = [
        (path, fault)
        for path in sorted(data.rglob("*"))
        if path.is_file() and (fault := _fault(path) or _model_fault(path))
    ]
    damaged += [(path, fault) for path in lessons if (fault := _lesson_fault(path))]
    damaged = damaged or [(path, "is not as it was installed") for path in _changed_since_installed()]
    if not damaged:
        return Check("course", f"{len(lessons)} lessons, with their data")
    found = "; ".join(f"{shown(path)} is damaged ({fault})" for path, fault in damaged[:5])
    checkout = data.parent / ".git"
    names = " ".join(path.relative_to(data.parent).as_posix() for path, _ in damaged[:5])
    return Check("course", found, f"`git checkout -- {names}`" if checkout.exists() else REINSTALL)


def _model_fault(path: Path) -> str:
    """What is wrong with a shipped model that can be read as a file; numbers included."""
    if path.suffix != ".safetensors" or path.parent.name != "checkpoints":
        return ""
    try:
        import torch

        from moe_lessons.training.checkpoint import load_checkpoint
    except (ImportError, AttributeError, OSError, RuntimeError):
        return ""  # PyTorch has a check of its own
    try:
        model = load_checkpoint(path).model
    except (ValueError, OSError) as error:
        return first_line(error)
    return "" if all(torch.isfinite(p).all() for p in model.parameters()) else "it holds numbers that are none"


def _lesson_fault(path: Path) -> str:
    try:
        json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return first_line(error)
    return ""


def _changed_since_installed() -> Iterator[Path]:
    """Installed files whose checksum is not the noted one; an editable installation has noted none of the course's."""
    try:
        files = metadata.files("moe-lessons") or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.hash and file.hash.mode == "sha256" and file.parts[0] == "moe_lessons":
            path = Path(str(file.locate()))
            noted = base64.urlsafe_b64decode(file.hash.value + "=" * (-len(file.hash.value) % 4))
            if not path.is_file() or hashlib.sha256(path.read_bytes()).digest() != noted:
                yield path
