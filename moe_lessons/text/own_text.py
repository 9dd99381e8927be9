"""A corpus of the learner's own text."""

import hashlib
import os
from pathlib import Path

import numpy as np

from moe_lessons.text.documents import Corpus, Encoded, join
from moe_lessons.text.grammars import Document
from moe_lessons.text.tokenizer import Tokenizer

MIN_TEXT_BYTES = 2_000


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
        side: join(
            [
                Encoded(Document(part, "text", None), np.array([tokenizer.document_id, *ids], dtype=np.uint16))
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
