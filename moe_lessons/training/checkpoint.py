"""Models on disk: safetensors with the configuration inside, a readable JSON beside it, never a pickle.

Every file is written under another name and then renamed, so that a full disk or a stop leaves the old one whole.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from moe_lessons.config import ModelConfig
from moe_lessons.files import replacing
from moe_lessons.model.transformer import Transformer

_FORMAT = "moe-lessons-1"


class Checkpoint(NamedTuple):
    """A model read from disk, and what was noted about it."""

    model: Transformer
    notes: dict[str, Any]


def save_checkpoint(
    path: str | Path,
    model: Transformer,
    notes: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    *,
    write: bool = True,
) -> Path:
    """Write `path` (.safetensors) and the same name with .json: configuration and notes, to be read by people.

    `dtype` float16 halves the file; weights are read back as float32. Whole numbers, such as a table of routes, stay
    what they are. Where several processes share the model, all call this and one of them writes. Raises OSError where
    nothing can be written.
    """
    path = beside(path, ".safetensors")
    notes = dict(notes or {})
    tensors = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in _own_tensors(model).items()
    }
    if not write:
        return path
    header = {"format": _FORMAT, "config": json.dumps(model.config.to_dict()), "notes": json.dumps(notes)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=header))
    readable = json.dumps({"config": model.config.to_dict(), **notes}, indent=1, ensure_ascii=False) + "\n"
    write_atomically(beside(path, ".json"), lambda temporary: temporary.write_text(readable, encoding="utf-8"))
    return path


def beside(path: str | Path, ending: str) -> Path:
    """The file of a checkpoint with this ending; `path` may end in .safetensors or not, and may hold other dots."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(".safetensors") + ending)


def load_checkpoint(path: str | Path, device: torch.device | str | None = None) -> Checkpoint:
    """Rebuild a saved model; a missing, damaged or foreign file is an error of one sentence that names it."""
    path = Path(path)
    tensors, header = read_tensors(path)
    if header.get("format") != _FORMAT:
        raise ValueError(f"{path.name} is not a checkpoint of moe-lessons: its header does not say {_FORMAT}")
    try:
        config = ModelConfig.from_dict(json.loads(header["config"]))
        notes = json.loads(header.get("notes", "{}"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} has a damaged header ({error}); write the checkpoint again") from None
    model = Transformer(config, device="meta")
    model.allocate(device or "cpu")
    restore(model, tensors, path.name)
    return Checkpoint(model, notes)


def restore(model: Transformer, tensors: dict[str, Tensor], source: str) -> None:
    """Copy weights into a model; ValueError names the first tensor that is missing, left over or of another size."""
    own = _own_tensors(model)
    for name in [*own, *tensors]:
        if name not in tensors:
            raise ValueError(f"{source} lacks the tensor {name}; it was made for another model")
        if name not in own:
            raise ValueError(
                f"{source} has a tensor {name} that this model does not have; it was made for another model"
            )
        if tensors[name].shape != own[name].shape:
            raise ValueError(
                f"{source} holds {name} of size {list(tensors[name].shape)}, but the model's is "
                f"{list(own[name].shape)}; build the model with the checkpoint's own configuration"
            )
    model.load_state_dict(tensors, strict=False)  # all names are known to be right; a tied head has two


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the header of a safetensors file; FileNotFoundError or ValueError in one sentence."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint at {path}; train one with `moe-lessons train` or correct the path"
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path.name} is damaged or not a safetensors file ({error}); write or copy it again"
        ) from None


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file in the same folder, then rename it to `path`.

    Raises OSError, naming the file, when there is no space or no right to write; an old file stays as it was.
    """
    try:
        with replacing(path) as scratch:
            write(scratch)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(f"{path} could not be written ({reason}); free some space or choose another folder") from None


def require_writable(path: Path) -> None:
    """Find out before the work, not after it, that nothing can be written beside `path`; raises OSError."""
    probe = path.with_name(f".{path.name}.probe")
    write_atomically(probe, lambda temporary: temporary.write_bytes(b"probe"))
    probe.unlink()


def _own_tensors(model: Transformer) -> dict[str, Tensor]:
    """Parameters and buffers under their names, a tied head only once."""
    state = dict(model.state_dict(keep_vars=False))
    if model.config.tie_embeddings:
        state.pop("head.weight")
    return state
