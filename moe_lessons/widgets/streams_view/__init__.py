"""StreamsView: what Sinkhorn's iteration does to the mixing of residual streams, and so to a signal through depth."""

import numpy as np
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure

from moe_lessons.widgets.shared.view import View, front_end
from moe_lessons.widgets.streams_view.mixing import apart, mixing, sizes, through
from moe_lessons.widgets.streams_view.picture import draw_streams

DEEPEST = 128  # mixings: 64 layers of two
_MOST = {"size": 8.0, "iterations": 50, "depth": DEEPEST, "own": 8.0}
_LEAST = {"depth": 1}


class StreamsView(View):
    """Streams that mix and nothing else, through up to 128 random matrices.

    `size` is how large the random part of the logits is, `iterations` how often rows and columns are divided by their
    sums (0: never, and nothing is made positive), `depth` the number of mixings, `own` what each stream's own logit is
    above the others'. Raises ValueError for what is outside of its limits, and for fewer than 2 streams or above 8.
    """

    _esm, _css = front_end(__file__)

    noise = traitlets.Bytes().tag(sync=True)  # float32, [DEEPEST, streams, streams]
    first = traitlets.Bytes().tag(sync=True)  # float32, [streams, 8]: the streams before the first mixing
    streams = traitlets.Int(4).tag(sync=True)
    size = traitlets.Float(0.5).tag(sync=True)
    iterations = traitlets.Int(20).tag(sync=True)
    depth = traitlets.Int(60).tag(sync=True)
    own = traitlets.Float(4.0).tag(sync=True)

    def __init__(
        self,
        *,
        streams: int = 4,
        size: float = 0.5,
        iterations: int = 20,
        depth: int = 60,
        own: float = 4.0,
        seed: int = 0,
    ) -> None:
        if not 2 <= streams <= 8:
            raise ValueError(f"streams is {streams}, but must be from 2 to 8: one has nothing to mix with")
        super().__init__()
        rng = np.random.default_rng(seed)
        self._noise = rng.standard_normal((DEEPEST, streams, streams)).astype("<f4")
        self._first = rng.standard_normal((streams, 8)).astype("<f4")
        self.noise, self.first, self.streams = self._noise.tobytes(), self._first.tobytes(), streams
        self.size, self.iterations, self.depth, self.own = size, iterations, depth, own

    @traitlets.validate("size", "iterations", "depth", "own")
    def _inside(self, proposal: dict) -> float:
        name, value = proposal["trait"].name, proposal["value"]
        least, most = _LEAST.get(name, 0), _MOST[name]
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}, but must be at least {least} and at most {most:g}")
        return value

    def matrices(self) -> Float[np.ndarray, "layers streams other"]:
        """The mixings that are passed at the present settings."""
        return mixing(self._noise[: self.depth].astype(float), self.size, self.iterations, self.own)

    def states(self) -> Float[np.ndarray, "points streams dim"]:
        """The streams at first and after each of them."""
        return through(self._first.astype(float), self.matrices())

    def figure(self) -> Figure:
        """The last mixing, and each stream's size on the way to it."""
        return draw_streams(self.matrices()[-1], sizes(self.states()), self._title())

    def _title(self) -> str:
        how = f"Sinkhorn, {_some(self.iterations, 'iteration')}" if self.iterations else "no Sinkhorn"
        return f"{how}, size {self.size:g}"

    def describe(self) -> str:
        states = self.states()
        grown = float(f"{sizes(states)[-1].max() / sizes(states)[0].max():.2g}")
        return (
            f"StreamsView: {self._title()}: after {_some(self.depth, 'mixing')} the largest stream is {grown:g} times "
            f"as large as at first, and {apart(states)[-1]:.0%} of what the streams hold sets them apart"
        )


def _some(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
