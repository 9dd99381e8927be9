"""PlacementView: machines as bins of experts, placed by one load and working on another; all wait for the fullest."""

from collections.abc import Mapping

import numpy as np
import traitlets
from jaxtyping import Num
from matplotlib.figure import Figure

from moe_lessons.figures.placement import draw_placement
from moe_lessons.parallel.placement import Placement, busiest, in_order, place
from moe_lessons.widgets.shared.view import View, front_end

IN_ORDER = "in order"  # as a made-for that looks at no load

Counts = Num[np.ndarray, "layers experts"]


class PlacementView(View):
    """Experts of one layer on machines: placed for the load of some earlier text, working on that of some later one.

    `loads` maps each kind of text to its (earlier, later) choices of every expert, [layers, experts]. `made_for` is the
    kind whose earlier load is the plan's, or "in order" for none; `now` is the kind whose later load is worked on;
    `extra` are the replicas on each machine. Raises ValueError for loads that cannot be shown.
    """

    _esm, _css = front_end(__file__)

    #: By kind of text, [[earlier, later] of each layer, of each expert].
    loads = traitlets.Dict().tag(sync=True)
    n_experts = traitlets.Int().tag(sync=True)
    n_layers = traitlets.Int().tag(sync=True)
    made_for = traitlets.Unicode(IN_ORDER).tag(sync=True)
    now = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    machines = traitlets.Int(4).tag(sync=True)
    extra = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        loads: Mapping[str, tuple[Counts, Counts]],
        made_for: str = IN_ORDER,
        now: str | None = None,
        layer: int = 0,
        machines: int = 4,
        extra: int = 0,
    ) -> None:
        kept = {name: (np.asarray(earlier), np.asarray(later)) for name, (earlier, later) in loads.items()}
        _check(kept)
        super().__init__()
        shape = next(iter(kept.values()))[0].shape
        self.n_layers, self.n_experts = shape
        self.loads = {name: [earlier.tolist(), later.tolist()] for name, (earlier, later) in kept.items()}
        self._loads = kept
        self.machines = machines
        self.now = next(iter(kept)) if now is None else now
        self.made_for, self.layer, self.extra = made_for, layer, extra

    def placement(self, layer: int | None = None) -> Placement:
        """Where the experts of a layer stand, by default of the one that is shown."""
        if self.made_for == IN_ORDER:
            return in_order(self.n_experts, self.machines)
        load = self._loads[self.made_for][0][self.layer if layer is None else layer]
        return place(load, self.machines, self.n_experts + self.extra * self.machines)

    def waiting(self) -> list[float]:
        """The busiest machine's load in times of the mean, layer by layer."""
        later = self._loads[self.now][1]
        return [float(busiest(self.placement(layer).load(later[layer]))) for layer in range(self.n_layers)]

    def figure(self) -> Figure:
        """The machines of the layer that is shown."""
        placement, load = self.placement(), self._loads[self.now][1][self.layer]
        title = self.describe().partition(": ")[2]
        return draw_placement(placement.experts, (load / placement.replicas)[placement.experts], title)

    def describe(self) -> str:
        placed = IN_ORDER if self.made_for == IN_ORDER else f"placed for {self.made_for}"
        copies = "" if self.made_for == IN_ORDER or not self.extra else f", {self.extra * self.machines} replicas"
        waits = self.waiting()
        return (
            f"PlacementView: {self.now} on {self.machines} machines, {placed}{copies}: layer {self.layer} waits for "
            f"{waits[self.layer]:.2f} times the mean, all layers for {np.mean(waits):.2f}"
        )

    @traitlets.validate("made_for", "now")
    def _known_text(self, proposal: dict) -> str:
        name, known = proposal["trait"].name, list(self.loads) + [IN_ORDER] * (proposal["trait"].name == "made_for")
        if proposal["value"] not in known:
            raise ValueError(f"{name} is {proposal['value']!r}, but must be one of: {', '.join(known)}")
        return proposal["value"]

    @traitlets.validate("layer")
    def _known_layer(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] < self.n_layers:
            raise ValueError(f"layer is {proposal['value']}, but the layers are 0 to {self.n_layers - 1}")
        return proposal["value"]

    @traitlets.validate("machines")
    def _equal_parts(self, proposal: dict) -> int:
        in_order(self.n_experts, proposal["value"])
        return proposal["value"]

    @traitlets.validate("extra")
    def _possible_extra(self, proposal: dict) -> int:
        most = self.n_experts - self.n_experts // self.machines
        if not 0 <= proposal["value"] <= most:
            raise ValueError(f"extra is {proposal['value']}, but a machine has room for 0 to {most} experts twice")
        return proposal["value"]

    @traitlets.observe("machines")
    def _stay_possible(self, _: dict) -> None:
        self.extra = min(self.extra, self.n_experts - self.n_experts // self.machines)


def _check(loads: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    if not loads or IN_ORDER in loads:
        raise ValueError(f"loads needs at least one kind of text, none of them called {IN_ORDER!r}; give name: loads")
    shape = next(iter(loads.values()))[0].shape
    for name, pair in loads.items():
        if any(each.ndim != 2 or each.shape != shape for each in pair):
            raise ValueError(f"the loads of {name!r} must be two arrays, layers x experts, as large as the others'")
        if any((each < 0).any() or not (each.sum(axis=1) > 0).all() for each in pair):
            raise ValueError(f"the loads of {name!r} must count choices, some in each layer; read more of such text")
