"""Type a text and see its tokens; the kernel's tokenizer answers while you type."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.widgets.shared.view import View, front_end
from moe_lessons.widgets.token_view.picture import draw_tokens

MOST_CHARACTERS = 20_000  # more would make the page slow, and nobody reads it


class TokenView(View):
    """A text box and the tokens of what is in it, with bytes per token, and the same by domain.

    `encode` maps a text to (ids, pieces): token ids and their printable texts, bytes that are no UTF-8 as `\\xNN`.
    `domains` maps names to sample texts.
    """

    _esm, _css = front_end(__file__)
    text = traitlets.Unicode("").tag(sync=True)
    #: For the text it names: ids, pieces, bytes (hexadecimal), counts; made in the kernel.
    answer = traitlets.Dict().tag(sync=True)
    #: name, text and bytes_per_token of each domain.
    domains = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(
        self,
        encode: Callable[[str], tuple[Sequence[int], Sequence[str]]],
        text: str = "",
        domains: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._samples = dict(domains or {})
        self.text = text
        self.use(encode)
        self.observe(lambda _: self._answer(), "text")

    def use(self, encode: Callable[[str], tuple[Sequence[int], Sequence[str]]]) -> None:
        """Cut the same text and the same samples with another tokenizer.

        Raises ValueError for a sample without tokens.
        """
        rows = []
        for name, sample in self._samples.items():
            ids = encode(sample)[0]
            if not len(ids):
                raise ValueError(f"the sample text of domain {name!r} has no tokens; give at least one character")
            ratio = len(sample.encode("utf-8")) / len(ids)
            rows.append({"name": name, "text": sample[:MOST_CHARACTERS], "bytes_per_token": ratio})
        self._encode = encode
        self.domains = rows
        self._answer()

    def figure(self) -> Figure:
        """The tokens as chips, then bytes per token by domain."""
        ratios = {row["name"]: row["bytes_per_token"] for row in self.domains}
        return draw_tokens(self.answer.get("pieces", []), self.describe(), ratios)

    def describe(self) -> str:
        answer = self.answer
        if not answer.get("ids"):
            return "TokenView: no tokens"
        return f"TokenView: {answer['n_bytes']} bytes, {answer['n_words']} words, {len(answer['ids'])} tokens"

    def _answer(self) -> None:
        try:
            self.answer = self._read(self.text)
            self.message = ""
        except Exception as error:  # shown in the widget: errors in callbacks are seen nowhere else
            self.answer = {"text": self.text}
            self.message = str(error)

    def _read(self, text: str) -> dict[str, Any]:
        if not text:
            raise ValueError("the text is empty; type something to see its tokens")
        if len(text) > MOST_CHARACTERS:
            raise ValueError(
                f"the text has {len(text):,} characters, but at most {MOST_CHARACTERS:,} are shown; shorten it"
            )
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(
                "the text holds half of a character (a lone surrogate), which is no UTF-8; delete it"
            ) from None
        ids, pieces = self._encode(text)[:2]
        return {
            "text": text,
            "ids": [int(i) for i in ids],
            "pieces": list(pieces),
            "bytes": [piece.hex(" ") for piece in piece_bytes(pieces, encoded)],
            "n_bytes": len(encoded),
            "n_words": len(text.split()),
        }


def piece_bytes(pieces: Sequence[str], encoded: bytes) -> list[bytes]:
    """The bytes of each printable piece, read along the text they came from.

    `\\xNN` in a piece is a byte where the text has that byte, and four characters where the text has those.
    """
    found, start = [], 0
    for piece in pieces:
        raw = piece.encode("utf-8")
        if not encoded.startswith(raw, start):
            escaped = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda match: bytes.fromhex(match[1].decode()), raw)
            raw = escaped if encoded.startswith(escaped, start) else raw
        start += len(raw)
        found.append(raw)
    return found
