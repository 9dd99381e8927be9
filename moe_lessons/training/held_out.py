"""Text that no run trains on, in windows, and what it costs a model."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from moe_lessons.model.transformer import Transformer, next_token_loss
from moe_lessons.text.corpus import Corpus, Split


def held_out(corpus: Corpus, windows: int = 256, width: int = 129) -> Int[Tensor, "batch time"]:
    """The beginning of the validation text, which mixes all domains, in windows of one token more than a model reads.

    Fewer windows where the text ends before.
    """
    return in_windows(corpus.valid.ids, windows, width)


def in_windows(ids: np.ndarray, windows: int, width: int) -> Int[Tensor, "batch time"]:
    """The beginning of a text, in at most so many windows."""
    windows = min(windows, len(ids) // width)
    return torch.from_numpy(ids[: windows * width].astype(np.int64)).view(windows, width)


@torch.no_grad()
def held_out_loss(model: Transformer, text: Int[Tensor, "batch time"], *, batch_size: int = 32) -> float:
    """Nats per token, the mean over all of them; the logits of `batch_size` windows are in memory at a time."""
    parts = text.split(batch_size)
    nats = sum(next_token_loss(model(part[:, :-1]), part[:, 1:]).item() * len(part) for part in parts)
    return nats / len(text)


def first_documents(split: Split, n: int) -> Split:
    """The same split with its first n documents only."""
    end = split.starts[n]
    return Split(
        ids=split.ids[:end],
        labels=split.labels[:end],
        starts=split.starts[: n + 1],
        document_domains=split.document_domains[:n],
        document_bytes=split.document_bytes[:n],
        document_log_prob=split.document_log_prob[:n],
    )
