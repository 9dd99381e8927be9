"""Byte-level byte-pair encoding with digits apart (Sennrich et al., arXiv:1508.07909; bytes as in GPT-2).

Every one of the 256 bytes is in the vocabulary, so any UTF-8 string can be written and comes back exactly.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from moe_lessons.files import replacing
from moe_lessons.resources import data_path

DOCUMENT = "<|doc|>"

# Merges never cross these pieces: a line break with the indentation after it; a word with the space before it; a run
# of signs, with the space after it where a digit follows; one digit; what white space is left.
PIECES = (
    r"[\r\n]+[ \t]*"
    r"| ?\p{L}[\p{L}\p{M}]*"
    r"|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+(?: (?=\p{N}))?"
    r"|\s+(?=\s[^\s])|\s+"
)


class Tokenizer:
    """Turns text into ids and back. `<|doc|>` is an id that no text can spell: a text which contains these seven
    characters gets them as characters."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        document_id = backend.token_to_id(DOCUMENT)
        if document_id is None:
            raise ValueError(f"the tokenizer has no {DOCUMENT} token; train one with Tokenizer.train")
        backend.encode_special_tokens = True  # text is never read as a special token
        self._backend = backend
        self.document_id: int = document_id
        self.vocab_size: int = backend.get_vocab_size()

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> "Tokenizer":
        """The tokenizer in a file, by default the course's own.

        Raises FileNotFoundError or ValueError, naming the file.
        """
        path = data_path("tokenizer.json") if path is None else Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no tokenizer at {path}; train one with Tokenizer.train and save it there"
            )
        try:
            backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the library raises plain Exception
            raise ValueError(f"{path} is not a tokenizer file ({error}); save it again with Tokenizer.save") from error
        return cls(backend)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn merges until there are `vocab_size` tokens, or nothing is left to merge.

        Raises ValueError for a vocabulary that has no room for `<|doc|>` and 256 bytes, or that 16 bits cannot number.
        """
        if not 257 <= vocab_size <= 65_536:
            raise ValueError(
                f"vocab_size is {vocab_size}, but {DOCUMENT} and the 256 bytes need 257 and ids have 16 bits; "
                "choose from 257 to 65536"
            )
        backend = tokenizers.Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(tokenizers.Regex(PIECES), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[DOCUMENT],
            initial_alphabet=sorted(_BYTE_OF),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return cls(backend)

    def encode(self, text: str) -> list[int]:
        """Raises ValueError for a string that is not text (a lone surrogate, which UTF-8 cannot write)."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; uses all cores."""
        for text in texts:
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"text has no UTF-8 form: character {error.start} is the lone surrogate "
                    f"{text[error.start]!a}; remove it or read the text with encoding='utf-8'"
                ) from None
        return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; bytes that do not make a character become U+FFFD."""
        return b"".join(self.piece_bytes(int(i)) for i in ids).decode("utf-8", errors="replace")

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Each id alone, to show; bytes that do not make a character are written \\xNN.

        >>> tokenizer = Tokenizer.train(["low lower lowest"], vocab_size=259)
        >>> tokenizer.pieces(tokenizer.encode("lowest"))
        ['low', 'e', 's', 't']
        """
        return [self.piece_bytes(int(i)).decode("utf-8", errors="backslashreplace") for i in ids]

    def piece_bytes(self, token_id: int) -> bytes:
        """The bytes one id stands for. Raises ValueError for an id outside the vocabulary."""
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(
                f"token id {token_id} is not in the vocabulary of {self.vocab_size}; "
                f"use ids from 0 to {self.vocab_size - 1}"
            )
        return self._pieces[token_id]

    @cached_property
    def _pieces(self) -> list[bytes]:
        spelled = [self._backend.id_to_token(i) or "" for i in range(self.vocab_size)]
        return [
            token.encode() if i == self.document_id else bytes(_BYTE_OF[char] for char in token)
            for i, token in enumerate(spelled)
        ]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole tokenizer, in hex: two tokenizers with the same one are the same."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer in the format of the `tokenizers` library, whole or not at all; OSError where not."""
        with replacing(Path(path)) as scratch:
            scratch.write_text(self._backend.to_str(pretty=True) + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size})"


def _byte_of() -> dict[str, int]:
    """GPT-2's stand-ins: printable Latin-1 bytes as themselves, the others as the characters from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_of()
