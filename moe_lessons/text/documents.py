"""What a corpus is: documents one after another, every token labeled with its domain, to train on and to hold out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moe_lessons.text.grammars import Document
from moe_lessons.text.tokenizer import Tokenizer


class Split(NamedTuple):
    """Documents one after another, each beginning with `<|doc|>`."""

    ids: NDArray[np.uint16]  # tokens
    labels: NDArray[np.uint8]  # tokens: index of the domain
    starts: NDArray[np.int64]  # documents + 1: where each begins in ids, and where the last one ends
    document_domains: NDArray[np.uint8]  # documents
    document_bytes: NDArray[np.int64]  # documents: UTF-8, without <|doc|>
    document_log_prob: NDArray[np.float64]  # documents: nats, nan where unknown

    @property
    def n_documents(self) -> int:
        return len(self.document_domains)


class Corpus(NamedTuple):
    """Text ready for training, and text that training never sees."""

    tokenizer: Tokenizer
    domains: tuple[str, ...]
    train: Split
    valid: Split
    fingerprint: str  # hex; equal where the same call on the same installation gives the same corpus


class Encoded(NamedTuple):
    document: Document
    ids: NDArray[np.uint16]  # two bytes a token; a list of Python's numbers takes thirty


def join(documents: Sequence[Encoded], domains: Sequence[str]) -> Split:
    lengths = np.array([len(ids) for _, ids in documents], dtype=np.int64)
    of_domain = np.array([domains.index(document.domain) for document, _ in documents], dtype=np.uint8)
    return Split(
        ids=np.concatenate([ids for _, ids in documents]),
        labels=np.repeat(of_domain, lengths),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        document_domains=of_domain,
        document_bytes=np.array([len(document.text.encode()) for document, _ in documents], dtype=np.int64),
        document_log_prob=np.array(
            [np.nan if document.log_prob is None else document.log_prob for document, _ in documents], dtype=np.float64
        ),
    )
