"""Loss on text that training never saw, by domain, beside the exact floor where there is one."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from moe_lessons.model.transformer import Transformer
from moe_lessons.text.corpus import Corpus


class Evaluation(NamedTuple):
    """What one domain's held-out documents cost the model, end marks included."""

    nats: float  # over all documents
    tokens: int
    bytes: int
    floor_nats: float  # minus the documents' exact log-probability; nan where no grammar wrote them

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def nats_per_byte(self) -> float:
        return self.nats / self.bytes

    @property
    def bits_per_byte(self) -> float:
        return self.nats_per_byte / math.log(2)

    @property
    def floor_per_token(self) -> float:
        return self.floor_nats / self.tokens

    @property
    def over_floor(self) -> float:
        """How far above the floor, as a share of it: 0.15 is 15% above."""
        return self.nats / self.floor_nats - 1


def evaluate(
    model: Transformer,
    corpus: Corpus,
    *,
    max_tokens: int | None = None,
    seq_len: int | None = None,
    batch_size: int = 16,
) -> dict[str, Evaluation]:
    """Evaluate on whole validation documents, the first ones up to `max_tokens`, per domain.

    Every token but the first window's is read with at least half a window of text before it.
    """
    split = corpus.valid
    documents = len(split.starts) - 1
    if max_tokens is not None:
        documents = max(1, int(np.searchsorted(split.starts, max_tokens, side="right")) - 1)
    end = int(split.starts[documents])
    # One more mark, so that the last document's end is predicted like everyone's.
    ids = np.append(split.ids[:end], corpus.tokenizer.document_id).astype(np.int64)
    costs = token_costs(model, ids, seq_len=seq_len, batch_size=batch_size)
    # A mark in the middle is the end of the document before it: it belongs to the token before.
    domain = split.labels[:end]
    document_domains = split.document_domains[:documents]
    result = {}
    for index, name in enumerate(corpus.domains):
        mine, ours = domain == index, document_domains == index
        if ours.any():
            result[name] = Evaluation(
                nats=float(costs[_owners_mask(ids, mine, corpus.tokenizer.document_id)].sum()),
                tokens=int(mine.sum()),
                bytes=int(split.document_bytes[:documents][ours].sum()),
                floor_nats=-float(split.document_log_prob[:documents][ours].sum()),
            )
    return result


def _owners_mask(ids: np.ndarray, mine: np.ndarray, document_id: int) -> np.ndarray:
    """Which predicted tokens (ids[1:]) belong to a domain, given which tokens (ids[:-1]) lie in its documents."""
    following = np.append(mine[1:], False)
    return np.where(ids[1:] == document_id, mine, following)


@torch.inference_mode()
def token_costs(model: Transformer, ids: np.ndarray, *, seq_len: int | None = None, batch_size: int = 16) -> np.ndarray:
    """-log p(ids[i + 1] | what comes before) in nats for each i, with overlapping windows: float64 [len(ids) - 1]."""
    length = min(seq_len or model.config.max_length, model.config.max_length)
    stride = max(1, length // 2)
    device = model.embedding.weight.device
    starts = list(range(0, max(1, len(ids) - 1 - length + stride), stride))
    padded = np.append(ids, np.zeros(length, dtype=ids.dtype))
    costs = np.zeros(len(ids) - 1, dtype=np.float64)
    was_training = model.training
    model.eval()
    for first in range(0, len(starts), batch_size):
        chosen = starts[first : first + batch_size]
        windows = torch.from_numpy(np.stack([padded[s : s + length + 1] for s in chosen]).astype(np.int64)).to(device)
        logits = model(windows[:, :-1]).float()
        loss = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="none").view(len(chosen), -1)
        for start, row in zip(chosen, loss.cpu().numpy(), strict=True):
            skip = 0 if start == 0 else length - stride
            count = min(length, len(costs) - start)
            costs[start + skip : start + count] = row[skip:count]
    model.train(was_training)
    return costs


def mean_nats_per_byte(evaluations: dict[str, Evaluation]) -> float:
    """All domains together."""
    return sum(e.nats for e in evaluations.values()) / sum(e.bytes for e in evaluations.values())
