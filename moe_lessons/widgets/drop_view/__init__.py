"""DropView: tokens on their way into the experts' slots, and which of them find none."""

from collections.abc import Sequence

import numpy as np
import traitlets
from jaxtyping import Int
from matplotlib.figure import Figure

from moe_lessons.figures.capacity import draw_slots
from moe_lessons.tracing.rule import DROPPING, order_of_service, slots_per_expert
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets.shared.view import View, front_end

RULES = (*DROPPING, "none")
MOST_TOKENS = 512  # more would be a page full of slots, and nobody reads it
MOST_SLOTS = 16  # times the choices: a larger factor would draw nothing but more empty slots


class DropView(View):
    """The texts of one batch, each expert's slots, and who is dropped at which capacity factor under which rule.

    The trace's sequences are the batch, called `names`; `batch` holds those taking part, in order. A layer is drawn
    as if nothing were dropped before it. Raises ValueError for a trace that cannot be drawn.
    """

    _esm, _css = front_end(__file__)

    factor = traitlets.Float(1.0).tag(sync=True)
    rule = traitlets.Enum(RULES, "first come").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    batch = traitlets.List(traitlets.Int()).tag(sync=True)
    pinned = traitlets.Int(0).tag(sync=True)

    #: Sizes and text of the trace; its arrays follow as bytes, little-endian.
    facts = traitlets.Dict().tag(sync=True)
    experts = traitlets.Bytes().tag(sync=True)  # uint16 [layers, tokens, top_k]
    weights = traitlets.Bytes().tag(sync=True)  # float32 [layers, tokens, top_k]

    def __init__(
        self,
        trace: RoutingTrace,
        names: Sequence[str] | None = None,
        factor: float = 1.0,
        rule: str = "first come",
        layer: int | None = None,
    ) -> None:
        _check(trace)
        self._trace = trace
        # Sequences by their order in the trace, whatever their numbers are.
        numbers, self._sequence = np.unique(trace.sequence, return_inverse=True)
        names = [f"text {number + 1}" for number in range(len(numbers))] if names is None else list(names)
        if len(names) != len(numbers):
            raise ValueError(f"names has {len(names)} entries, but the trace has {len(numbers)} sequences; name each")
        super().__init__()
        self.facts = {
            "layers": list(trace.layers),
            "experts": trace.n_experts,
            "top_k": trace.top_k,
            "pieces": trace.pieces,
            "sequence": self._sequence.tolist(),
            "names": names,
        }
        self.experts = trace.experts.astype("<u2").tobytes()
        self.weights = trace.weights.astype("<f4").tobytes()
        self.batch = list(range(len(names)))
        self.factor, self.rule = factor, rule
        self.layer = trace.layers[0] if layer is None else layer

    def lines(self) -> list[Int[np.ndarray, " choices"]]:
        """Each expert's line in the order of service, as choices `token * top_k + rank`."""
        row = self._trace.row(self.layer)
        tokens = np.concatenate([np.flatnonzero(self._sequence == which) for which in self.batch])
        return lines(self._trace.experts[row], self._trace.weights[row], self._trace.n_experts, tokens, self.rule)

    @property
    def slots(self) -> int | None:
        """Slots of each expert; None where the rule sets no limit."""
        if self.rule == "none":
            return None
        tokens = int(np.isin(self._sequence, self.batch).sum())
        return slots_per_expert(self.factor, tokens, self._trace.top_k, self._trace.n_experts)

    def figure(self) -> Figure:
        """The texts and the slots as they stand."""
        order = [(self.facts["names"][which], np.flatnonzero(self._sequence == which)) for which in self.batch]
        return draw_slots(self._trace.pieces, order, self.lines(), self._trace.top_k, self.slots, self.describe())

    def describe(self) -> str:
        limit = "no capacity" if self.rule == "none" else f"capacity factor {self.factor:.2f}, {self.rule}"
        names = ", ".join(self.facts["names"][which] for which in self.batch)
        return f"DropView: layer {self.layer}, {limit}; {names}"

    @traitlets.validate("factor")
    def _possible_factor(self, proposal: dict) -> float:
        if not 0 < proposal["value"] <= MOST_SLOTS:
            raise ValueError(
                f"factor is {proposal['value']}, but must be above 0 and at most {MOST_SLOTS}; 1.25 is usual"
            )
        return proposal["value"]

    @traitlets.validate("layer")
    def _known_layer(self, proposal: dict) -> int:
        self._trace.row(proposal["value"])
        return proposal["value"]

    @traitlets.validate("batch")
    def _possible_batch(self, proposal: dict) -> list[int]:
        batch, known = proposal["value"], int(self._sequence.max()) + 1
        if not batch or len(set(batch)) < len(batch) or not set(batch) <= set(range(known)):
            raise ValueError(f"batch is {batch}, but must name at least one of the texts 0 to {known - 1}, each once")
        return batch

    @traitlets.validate("pinned")
    def _known_token(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] < self._trace.n_tokens:
            raise ValueError(f"pinned is {proposal['value']}, but the tokens are 0 to {self._trace.n_tokens - 1}")
        return proposal["value"]


def lines(
    experts: Int[np.ndarray, "tokens top_k"], weights: np.ndarray, n_experts: int, tokens: np.ndarray, rule: str
) -> list[Int[np.ndarray, " choices"]]:
    """Each expert's line of choices `token * top_k + rank`: all first choices of `tokens`, then all second ones.

    Within a rank, in the order of `tokens` or, with "priority", by weight, highest first; a tie keeps that order.
    """
    in_batch, top_k = order_of_service(weights[tokens], rule), experts.shape[1]
    served = tokens[in_batch // top_k] * top_k + in_batch % top_k
    return [served[experts.ravel()[served] == expert] for expert in range(n_experts)]


def _check(trace: RoutingTrace) -> None:
    if not isinstance(trace, RoutingTrace):
        raise ValueError(f"trace is a {type(trace).__name__}, but must be a RoutingTrace; see record_routing")
    if trace.n_tokens == 0:
        raise ValueError("the trace has no tokens; route at least one")
    if trace.n_tokens > MOST_TOKENS:
        raise ValueError(
            f"the trace has {trace.n_tokens:,} tokens, but at most {MOST_TOKENS} fit in the picture; "
            f"cut it with trace.select(tokens=slice({MOST_TOKENS}))"
        )
