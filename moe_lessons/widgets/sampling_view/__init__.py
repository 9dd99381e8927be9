"""Temperature, top-k and top-p on a model's real logits, turned in the browser."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets
from matplotlib.figure import Figure

from moe_lessons.widgets.sampling_view.picture import draw_counts, draw_sampling, sample_distribution
from moe_lessons.widgets.shared.view import View, front_end

_MOST_DRAWS = 10_000


class SamplingView(View):
    """The next token's distribution as temperature, top-k and top-p shape it, and samples drawn from it.

    `logits` is one vector `[vocab]`, a matrix `[contexts, vocab]`, or a mapping from a prompt to its vector;
    `pieces[i]` is token i's printable text. Temperature 0 means always the likeliest token; top_k 0 means all.
    """

    _esm, _css = front_end(__file__)
    pieces = traitlets.List(traitlets.Unicode()).tag(sync=True)
    contexts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    #: float32, little-endian, [contexts, vocab].
    logits = traitlets.Bytes().tag(sync=True)
    context = traitlets.Int(0).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    top_k = traitlets.Int(0).tag(sync=True)
    top_p = traitlets.Float(1.0).tag(sync=True)
    n_drawn = traitlets.Int(0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        logits: np.ndarray | Mapping[str, np.ndarray],
        pieces: Sequence[str],
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> None:
        if isinstance(logits, Mapping):
            names, rows = list(logits), [np.asarray(row, dtype=np.float32) for row in logits.values()]
        else:
            rows = np.atleast_2d(np.asarray(logits, dtype=np.float32))
            names = [f"context {i}" for i in range(len(rows))]
        for name, row in zip(names, rows, strict=True):
            if row.shape != (len(pieces),):
                raise ValueError(f"logits of {name!r} have shape {row.shape}, but must be ({len(pieces)},) as pieces")
            if not np.isfinite(row).all():
                raise ValueError(f"logits of {name!r} hold values that are not finite; give the model's raw logits")
        if not names or not len(pieces):
            raise ValueError("logits are empty; give at least one vector with at least one token")
        super().__init__()
        self._rows = np.stack(list(rows))
        self.pieces, self.contexts = list(pieces), names
        self.logits = self._rows.astype("<f4").tobytes()
        self.temperature, self.top_k, self.top_p, self.seed = temperature, top_k, top_p, seed

    @traitlets.validate("context", "temperature", "top_k", "top_p", "n_drawn")
    def _inside(self, proposal: dict) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        most = {"context": len(self.contexts) - 1, "top_p": 1, "n_drawn": _MOST_DRAWS}.get(name, float("inf"))
        if not 0 <= value <= most or (name == "top_p" and value == 0):
            raise ValueError(
                f"{name} is {value}, but must be {'above' if name == 'top_p' else 'at least'} 0"
                + (f" and at most {most}" if most < float("inf") else "")
            )
        return value

    def distribution(self) -> np.ndarray:
        """Probabilities over the vocabulary at the present settings, `[vocab]`."""
        return sample_distribution(self._rows[self.context], self.temperature, self.top_k, self.top_p)

    def figure(self) -> Figure:
        """The likeliest tokens: before (outline) and after the settings (bars), with the drawn counts as dots."""
        kept = self.distribution()
        counts = draw_counts(kept, self.n_drawn, self.seed)
        before = sample_distribution(self._rows[self.context], self.temperature)
        title = f"{self.contexts[self.context]}   temperature {self.temperature:g}, top-k {self.top_k or 'off'}"
        return draw_sampling(before, kept, self.pieces, counts, f"{title}, top-p {self.top_p:g}")

    def describe(self) -> str:
        return f"SamplingView: {len(self.contexts)} contexts, {len(self.pieces)} tokens to choose from"
