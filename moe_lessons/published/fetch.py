"""A small mixture of experts that others trained, fetched from Hugging Face by the exact revision: only on request."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn


class Source(NamedTuple):
    """Where a model lies, which state of it is meant, and what it weighs."""

    name: str  # of the repository
    revision: str  # the commit: what was looked at once is what everybody gets
    license: str
    gigabytes: float  # to fetch once, and to hold in memory


#: 1.3 billion parameters, 0.4 of them at work on a token: 24 layers of 32 experts, 8 at work.
GRANITE = Source("ibm-granite/granite-3.1-1b-a400m-base", "408b6e90baab8cf24f4aa9f8e19703ffa0a53b29", "Apache-2.0", 2.7)


class Words:
    """One of transformers' tokenizers, as the course's own is asked."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs
        starts = [token for token in (theirs.bos_token_id, theirs.eos_token_id) if token is not None]
        if not starts:
            raise ValueError("the tokenizer has no token that begins or ends a text; give one that has")
        self.document_id: int = starts[0]

    def encode(self, text: str) -> list[int]:
        return self._theirs.encode(text, add_special_tokens=False)

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Each token as text of its own; half a letter is shown as �."""
        return [self._theirs.decode([token]) for token in ids]


class Fetched(NamedTuple):
    """A model that is ready to read, and its tokenizer."""

    model: nn.Module
    words: Words


def fetch(source: Source = GRANITE, folder: str | Path | None = None) -> Fetched:
    """The model of this revision, from the network or where an earlier fetch left it, in `folder` or the usual place.

    Weights are read from safetensors only, and no code comes along. Raises ImportError without transformers, and
    ConnectionError, in one sentence, where the model can be had neither from the network nor from the disk.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    exactly = {"revision": source.revision, "cache_dir": folder, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.name, **exactly)
        model = AutoModelForCausalLM.from_pretrained(source.name, use_safetensors=True, dtype=torch.bfloat16, **exactly)
    except OSError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConnectionError(
            f"{source.name} could not be fetched ({reason}); it is {source.gigabytes} GB, from huggingface.co; "
            "without it, leave the fetching off"
        ) from None
    return Fetched(model.eval(), Words(tokenizer))
