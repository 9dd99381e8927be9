"""SlotsView: a shelf with few slots for many experts; who is there when asked for, who is fetched, who makes room."""

from collections.abc import Mapping

import numpy as np
import traitlets
from jaxtyping import Int
from matplotlib.figure import Figure

from moe_lessons.offload.slots import Replay, most_used, replay
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets.shared.view import View, front_end
from moe_lessons.widgets.slots_view.picture import draw_shelf

SHOWN = ("lru", "pinned", "belady")
MOST_TOKENS = 256  # of one text; a longer one would be a film that nobody watches to its end


class SlotsView(View):
    """Texts that pass through a model with `slots` experts in memory in each layer, token by token.

    `traces` are the texts by name, all of one model. `calibrations` are traces by name, too: those whose favorites
    "pinned" keeps; the texts themselves by default. `layer` is a layer's number in the model, `at` how many tokens
    have asked. Raises ValueError for traces that cannot be drawn together.
    """

    _esm, _css = front_end(__file__)

    text = traitlets.Int(0).tag(sync=True)
    calibration = traitlets.Int(0).tag(sync=True)
    policy = traitlets.Enum(SHOWN, "lru").tag(sync=True)
    slots = traitlets.Int(4).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)

    #: Sizes, names and pieces; of each calibration its favorites, most used first [layers][experts].
    facts = traitlets.Dict().tag(sync=True)
    routes = traitlets.Bytes().tag(sync=True)  # uint16 [texts][layers, tokens, top_k], little-endian

    def __init__(
        self,
        traces: Mapping[str, RoutingTrace],
        calibrations: Mapping[str, RoutingTrace] | None = None,
        slots: int | None = None,
        policy: str = "lru",
        layer: int | None = None,
        at: int | None = None,
    ) -> None:
        known = traces if calibrations is None else calibrations
        _check(traces, known)
        self._traces, self._known = list(traces.values()), list(known.values())
        first = self._traces[0]
        super().__init__()
        self.facts = {
            "layers": list(first.layers),
            "experts": first.n_experts,
            "top_k": first.top_k,
            "names": list(traces),
            "pieces": [trace.pieces for trace in self._traces],
            "calibrations": list(known),
            "favorites": [[most_used(layer, first.n_experts) for layer in trace.experts] for trace in self._known],
        }
        self.routes = b"".join(trace.experts.astype("<u2").tobytes() for trace in self._traces)
        self.slots = max(first.top_k, first.n_experts // 4) if slots is None else slots
        self.policy = policy
        self.layer = first.layers[0] if layer is None else layer
        self.at = first.n_tokens if at is None else at

    def replayed(self, policy: str | None = None) -> Replay:
        """What the layer's slots do with the whole text, by this policy or the one that is chosen; one layer long."""
        trace, known = self._traces[self.text], self._known[self.calibration]
        row = slice(at := trace.row(self.layer), at + 1)
        policy = policy or self.policy
        return replay(trace.experts[row], trace.n_experts, self.slots, policy, calibration=known.experts[row])

    def hit_rate(self, policy: str | None = None) -> float:
        """The share of choices of the layer's first `at` tokens that were in memory; nan before any."""
        hit = self.replayed(policy).hit[0, : self.at]
        return float(hit.mean()) if hit.size else float("nan")

    def hit_rates(self) -> dict[str, float]:
        """The same for each policy that is shown."""
        return {policy: self.hit_rate(policy) for policy in SHOWN}

    def figure(self) -> Figure:
        """The layer's slots at each token up to the cursor."""
        trace = self._traces[self.text]
        replayed, experts = self.replayed(), trace.experts[trace.row(self.layer)]
        holds, hit = replayed.holds[0, : self.at], replayed.hit[0, : self.at]
        fetched: list[Int[np.ndarray, " choices"]] = [
            wanted[~there] for wanted, there in zip(experts, hit, strict=False)
        ]
        found = f"{hit.mean():.0%} found in memory" if hit.size else "nothing asked for yet"
        title = f"{self.facts['names'][self.text]}, layer {self.layer}, {self.slots} slots, {self.policy}: {found}"
        return draw_shelf(holds, fetched, trace.pieces[: self.at], title)

    def describe(self) -> str:
        kept = f" (favorites of {self.facts['calibrations'][self.calibration]})" if self.policy == "pinned" else ""
        rate = self.hit_rate()
        found = "nothing asked for yet" if np.isnan(rate) else f"{rate:.0%} of choices found in memory"
        return (
            f"SlotsView: {self.facts['names'][self.text]}, layer {self.layer}, {self.slots} of "
            f"{self.facts['experts']} experts, {self.policy}{kept}, {self.at} tokens: {found}"
        )

    @traitlets.validate("text", "calibration")
    def _known_text(self, proposal: dict) -> int:
        name = proposal["trait"].name
        most = len(self._traces if name == "text" else self._known)
        if not 0 <= proposal["value"] < most:
            raise ValueError(f"{name} is {proposal['value']}, but must be from 0 to {most - 1}")
        return proposal["value"]

    @traitlets.validate("slots")
    def _possible_slots(self, proposal: dict) -> int:
        least, most = self._traces[0].top_k, self._traces[0].n_experts
        if not least <= proposal["value"] <= most:
            raise ValueError(
                f"slots is {proposal['value']}, but must be from {least}, one token's experts, to {most}, all of them"
            )
        return proposal["value"]

    @traitlets.validate("layer")
    def _known_layer(self, proposal: dict) -> int:
        self._traces[0].row(proposal["value"])
        return proposal["value"]

    @traitlets.validate("at")
    def _possible_token(self, proposal: dict) -> int:
        most = self._traces[self.text].n_tokens
        if not 0 <= proposal["value"] <= most:
            raise ValueError(f"at is {proposal['value']}, but this text has {most} tokens")
        return proposal["value"]

    @traitlets.observe("text")
    def _stay_inside(self, _: dict) -> None:
        self.at = min(self.at, self._traces[self.text].n_tokens)


def _check(traces: Mapping[str, RoutingTrace], calibrations: Mapping[str, RoutingTrace]) -> None:
    if not traces or not calibrations:
        raise ValueError("traces is empty; give at least one RoutingTrace by name, see record_routing")
    first = next(iter(traces.values()))
    for name, trace in [*traces.items(), *calibrations.items()]:
        if not isinstance(trace, RoutingTrace):
            raise ValueError(f"the trace {name!r} is a {type(trace).__name__}, but must be a RoutingTrace")
        if (trace.layers, trace.n_experts, trace.top_k) != (first.layers, first.n_experts, first.top_k):
            raise ValueError(f"the trace {name!r} is of another model than the first one; record all with the same")
    for name, trace in traces.items():
        if not 1 <= trace.n_tokens <= MOST_TOKENS:
            raise ValueError(
                f"the trace {name!r} has {trace.n_tokens:,} tokens, but must have from 1 to {MOST_TOKENS}; cut it with "
                f"trace.select(tokens=slice({MOST_TOKENS}))"
            )
