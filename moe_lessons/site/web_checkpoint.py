"""A checkpoint small enough for a page: the experts' weights with eight bits a number, all others as they are.

Each row of an expert's matrix has a scale of its own, the largest of its numbers over 127. The experts are nine tenths
of the course's sparse model; eight bits for all of it would save another twentieth, and flip thrice as many routes.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open

from moe_lessons.files import replacing

FORMAT = "moe-lessons-web-1"
_MOST = 127  # the largest whole number of eight bits that has its negative


class Rows(NamedTuple):
    """A matrix, or a stack of them, in whole numbers, and what each row of them is a multiple of."""

    whole: Int[np.ndarray, "*rows columns"]
    scale: Float[np.ndarray, "*rows"]


def in_eight_bits(weights: Float[np.ndarray, "*rows columns"]) -> Rows:
    """The nearest whole multiples of each row's scale; a row of zeros has the scale 0."""
    weights = weights.astype(np.float32)
    scale = (np.abs(weights).max(axis=-1) / _MOST).astype(np.float16)
    # What is divided by is the scale as it is read back; where it was rounded down, the largest number would be 128.
    steps = np.divide(weights, scale[..., None], out=np.zeros_like(weights), where=scale[..., None] > 0)
    return Rows(np.rint(steps).clip(-_MOST, _MOST).astype(np.int8), scale)


def write_web_checkpoint(source: Path, target: Path) -> int:
    """Write the shipped checkpoint `source` for the page as `target`; returns its bytes.

    A dense checkpoint keeps all its numbers. Raises ValueError, naming the file, for one that is damaged or foreign,
    and OSError where nothing can be written.
    """
    try:
        with safe_open(source, framework="np") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = json.loads(notes["config"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{source.name} is no checkpoint of moe-lessons ({error}); write or copy it again") from None
    written = {}
    for name, weights in tensors.items():
        if ".experts." in name:
            written[name], written[f"{name}.scale"] = in_eight_bits(weights)
        else:
            written[name] = weights
    header = {"format": FORMAT, "config": json.dumps(config)}  # what was noted in training stays at home
    with replacing(target) as scratch:
        scratch.write_bytes(safetensors.numpy.save(written, metadata=header))
    return target.stat().st_size


def read_web_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """The weights that the page works with, float32 by their names; to compare with the shipped ones."""
    tensors = safetensors.numpy.load_file(path)
    scales = {name: tensors.pop(f"{name}.scale") for name in list(tensors) if f"{name}.scale" in tensors}
    return {
        name: weights * scales[name][..., None].astype(np.float32) if name in scales else weights.astype(np.float32)
        for name, weights in tensors.items()
    }
