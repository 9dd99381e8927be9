"""Every attention head of a layer, and what one position looks at, walked through with a slider."""

from collections.abc import Sequence

import numpy as np
import traitlets
from matplotlib.figure import Figure

from moe_lessons.widgets.attention_view.picture import draw_attention
from moe_lessons.widgets.shared.view import View, front_end

_LARGEST = 64_000_000  # weights; two bytes each travel to the browser


class AttentionView(View):
    """Attention weights `[layers, heads, time, time]` (rows are queries), drawn and walked in the browser."""

    _esm, _css = front_end(__file__)
    pieces = traitlets.List(traitlets.Unicode()).tag(sync=True)
    #: Weights in 65535ths, uint16, little-endian: enough for every digit shown, at half the size.
    weights = traitlets.Bytes().tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # layers, heads, time
    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    query = traitlets.Int(0).tag(sync=True)

    def __init__(
        self, pieces: Sequence[str], attention: np.ndarray, layer: int = 0, head: int = 0, query: int | None = None
    ) -> None:
        attention = np.asarray(attention, dtype=np.float32)
        n = len(pieces)
        if attention.ndim != 4 or attention.shape[2:] != (n, n) or not attention.size:
            raise ValueError(
                f"attention has shape {attention.shape}, but must be (layers, heads, {n}, {n}) for {n} pieces"
            )
        if not np.isfinite(attention).all() or attention.min() < 0 or attention.max() > 1.001:
            raise ValueError("attention holds values outside 0 to 1; give the weights after the softmax")
        if attention.size > _LARGEST:
            raise ValueError(f"attention has {attention.size:,} weights, but at most {_LARGEST:,}; shorten the text")
        super().__init__()
        self._attention = attention
        self.pieces = list(pieces)
        self.shape = list(attention.shape[:3])
        self.weights = np.round(attention.clip(0, 1) * 65535).astype("<u2").tobytes()
        self.layer, self.head, self.query = layer, head, n - 1 if query is None else query

    @traitlets.validate("layer", "head", "query")
    def _inside(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        limit = self.shape[("layer", "head", "query").index(name)]
        if not 0 <= value < limit:
            raise ValueError(f"{name} is {value}, but must be at least 0 and below {limit}")
        return value

    def figure(self) -> Figure:
        """All heads of the chosen layer, small; the chosen one, large; the chosen query's weights below."""
        return draw_attention(self.pieces, self._attention, self.layer, self.head, self.query)

    def describe(self) -> str:
        layers, heads, time = self.shape
        return f"AttentionView: {layers} layers, {heads} heads, {time} tokens"
