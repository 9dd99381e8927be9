"""KeysView: which tokens of a text one of them reads, by the kind of attention, and what that is at any length."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure

from moe_lessons.config import ModelConfig
from moe_lessons.figures.keys import Band, draw_reach
from moe_lessons.widgets.keys_view.rule import KINDS, Reading, at_length, layer_sizes, read_by
from moe_lessons.widgets.shared.view import View, front_end

LONGEST = 256  # tokens: a rank is one byte
NAMES = {
    "full": "full", "window": "sliding window", "indexed": "indexed", "sparse": "compressed, sparse",
    "heavy": "heavily compressed",
}  # fmt: skip


class KeysView(View):
    """A text and one of its tokens: what it reads under five kinds of attention.

    `scores` say how much an indexer likes each key for each query, [layers, time, time]; keys after their query do
    not count. `published` names a model for each kind, with its configuration and the layer that is of this kind: its
    sizes stand below the text. Raises ValueError for what cannot be shown.
    """

    _esm, _css = front_end(__file__)
    pieces = traitlets.List(traitlets.Unicode()).tag(sync=True)
    #: How many keys an indexer likes better, uint8 [layers, time, time]: a choice needs the order alone.
    ranks = traitlets.Bytes().tag(sync=True)
    layers = traitlets.Int().tag(sync=True)
    published = traitlets.Dict().tag(sync=True)  # by kind: model, and the sizes of one of its layers
    kind = traitlets.Enum(KINDS, "full").tag(sync=True)
    query = traitlets.Int().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    window = traitlets.Int(8).tag(sync=True)
    top_k = traitlets.Int(8).tag(sync=True)
    sparse_rate = traitlets.Int(4).tag(sync=True)
    heavy_rate = traitlets.Int(32).tag(sync=True)
    context = traitlets.Int(131_072).tag(sync=True)

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Float[np.ndarray, "layers time time"],
        published: Mapping[str, tuple[str, ModelConfig, int]],
        query: int | None = None,
        kind: str = "full",
        layer: int = 0,
    ) -> None:
        scores, time = np.asarray(scores), len(pieces)
        if scores.ndim != 3 or scores.shape[1:] != (time, time) or not scores.size or time > LONGEST:
            raise ValueError(
                f"scores has shape {scores.shape}, but must be (layers, {time}, {time}) for {time} pieces, and at most "
                f"{LONGEST} of them"
            )
        if missing := [name for name in KINDS if name not in published]:
            raise ValueError(f"published lacks {', '.join(missing)}; name a model, its configuration and a layer")
        super().__init__()
        self._ranks = _ranks(scores)
        self.pieces, self.layers, self.ranks = list(pieces), len(scores), self._ranks.tobytes()
        self.published = {
            name: {"model": model, **layer_sizes(config, at)} for name, (model, config, at) in published.items()
        }
        self.query = time - 1 if query is None else query
        self.kind, self.layer = kind, layer

    @traitlets.validate("query", "layer", "window", "top_k", "sparse_rate", "heavy_rate", "context")
    def _inside(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        low = 0 if name in ("query", "layer") else 1
        high = {"query": len(self.pieces) - 1, "layer": self.layers - 1, "context": 2**20}.get(name, LONGEST)
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, but must be at least {low} and at most {high:,}")
        return value

    def reading(self, kind: str | None = None) -> Reading:
        """What the query reads, by default with the kind that is shown."""
        ranks = self._ranks[self.layer, self.query, : self.query + 1].tolist()
        return read_by(kind or self.kind, ranks, self.window, self.top_k, self.sparse_rate, self.heavy_rate)

    def figure(self) -> Figure:
        """A band for each kind."""
        bands = []
        for kind in KINDS:
            tokens, entries, rate = self.reading(kind)
            said = f"{len(tokens)} tokens" + (f",\n{len(entries)} entries" if rate else "")
            spans = [(entry * rate, (entry + 1) * rate) for entry in entries]
            bands.append(Band(NAMES[kind], [(token, token + 1) for token in tokens], spans, said))
        return draw_reach(bands, self.query, f"What token {self.query + 1} of {len(self.pieces)} reads")

    def describe(self) -> str:
        tokens, entries, rate = self.reading()
        entered = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
        read = f"{len(tokens)} token{'s' * (len(tokens) != 1)}" + (f" and {entered}" if rate else "")
        seen, _, kept = at_length(self.published[self.kind], self.context)
        return (
            f"KeysView: token {self.query + 1} of {len(self.pieces)}, {NAMES[self.kind]}: reads {read}; "
            f"at {self.context:,} tokens {seen:,}, of {kept:,} numbers kept"
        )


def _ranks(scores: np.ndarray) -> np.ndarray:
    """How many keys of its past each query likes better than each one; of equals, the earlier is liked better."""
    time = scores.shape[-1]
    future = np.triu(np.ones((time, time), dtype=bool), 1)
    order = np.argsort(np.where(future, np.inf, -scores), axis=-1, kind="stable")
    return np.argsort(order, axis=-1, kind="stable").astype(np.uint8)
