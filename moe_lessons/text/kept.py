"""A corpus in a file: arrays with a checksum beside them, built again where they are damaged."""

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from moe_lessons.files import replacing
from moe_lessons.text.documents import Corpus, Split
from moe_lessons.text.tokenizer import Tokenizer


def write_corpus(path: Path, corpus: Corpus) -> None:
    """Arrays in safetensors, what they are in JSON beside them; each appears whole or not at all.

    The arrays appear last: a corpus whose card is not there yet would be taken for a damaged one.
    """
    tensors = {
        f"{side}.{name}": value
        for side in ("train", "valid")
        for name, value in getattr(corpus, side)._asdict().items()
    }
    card = {"fingerprint": corpus.fingerprint, "domains": corpus.domains, "sha256": checksum(tensors)}
    try:
        with replacing(path) as arrays:
            arrays.write_bytes(safetensors.numpy.save(tensors))
            with replacing(path.with_suffix(".json")) as scratch:
                scratch.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        warnings.warn(
            f"the corpus could not be kept in {path.parent} ({error.strerror or error}) and is built again next time; "
            "free some space or set MOE_LESSONS_CACHE to a folder you can write to",
            stacklevel=3,
        )


def read_corpus(path: Path, tokenizer: Tokenizer, fingerprint: str) -> Corpus | None:
    """The kept corpus; None where there is none, and, with a warning, where the file is damaged."""
    if not path.exists():
        return None
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        tensors = safetensors.numpy.load_file(path)
        if card["fingerprint"] != fingerprint or card["sha256"] != checksum(tensors):
            raise ValueError("its checksum is wrong")
        train, valid = (
            Split(**{name: tensors[f"{side}.{name}"] for name in Split._fields}) for side in ("train", "valid")
        )
        return Corpus(tokenizer, tuple(card["domains"]), train, valid, fingerprint)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        warnings.warn(f"the kept corpus {path} is damaged ({error}) and is built again", stacklevel=3)
        return None


def checksum(tensors: dict[str, NDArray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
