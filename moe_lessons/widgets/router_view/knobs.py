"""RouterView's knobs: traits, each refused where the trace cannot have it, and what they ask for together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import traitlets

from moe_lessons.routing_rule import SCORE_FUNCTIONS
from moe_lessons.tracing.rule import DROPPING, Knobs
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets.shared.view import View

FIXED = ("route_scale", "n_groups", "group_score")  # settings of the rule that no knob turns: each trace keeps its own
TURNED = tuple(f.name for f in fields(Knobs) if f.name not in FIXED)  # knobs that are traits
ASKED = (*TURNED, "acts_on")  # with where they act: what the model is asked for


class Turnable(View):
    """A view of one trace, which subclasses set before all else, with the knobs of its routing rule."""

    _trace: RoutingTrace

    top_k = traitlets.Int(1).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    score_function = traitlets.Enum(SCORE_FUNCTIONS, "softmax").tag(sync=True)
    normalize = traitlets.Bool(True).tag(sync=True)
    noise = traitlets.Float(0.0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    #: Slots of each expert as a multiple of an even share; 0 for no limit.
    capacity = traitlets.Float(0.0).tag(sync=True)
    dropping = traitlets.Enum(DROPPING, DROPPING[0]).tag(sync=True)
    #: Of each expert, on top of the router's own; empty for none.
    bias = traitlets.List(traitlets.Float()).tag(sync=True)
    #: Experts that no token may choose.
    off = traitlets.List(traitlets.Int()).tag(sync=True)
    top_groups = traitlets.Int(1).tag(sync=True)
    #: The number of the layer whose router the knobs turn; -1 for every layer.
    acts_on = traitlets.Int(-1).tag(sync=True)

    @property
    def knobs(self) -> Knobs:
        """All knobs as they stand; they act on every layer, or on the layer that `acts_on` names."""
        turned = {name: getattr(self, name) for name in TURNED}
        return replace(self._trace.knobs, **turned)

    @knobs.setter
    def knobs(self, knobs: Knobs) -> None:
        knobs.check(self._trace.n_experts)
        with self.hold_sync(), self.hold_trait_notifications():
            for name in TURNED:
                value = getattr(knobs, name)
                setattr(self, name, list(value) if isinstance(value, tuple) else value)

    def reset(self) -> None:
        """Turn every knob back to what the model did."""
        with self.hold_sync(), self.hold_trait_notifications():
            self.knobs = self._trace.knobs
            self.acts_on = -1

    @property
    def moved(self) -> bool:
        """Whether a knob asks for anything but what the model did."""
        return self.knobs.asks_for() != self._trace.knobs

    def _layers(self) -> tuple[int, ...] | None:
        return None if self.acts_on < 0 else (self.acts_on,)

    def _turned(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ASKED}

    @traitlets.validate("top_k", "temperature", "noise", "seed", "capacity", "bias", "off", "top_groups")
    def _possible(self, proposal: dict) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        with refusing():
            knobs = replace(self.knobs, **{name: tuple(value) if isinstance(value, list) else value})
            knobs.check(self._trace.n_experts)
        return value


class _Refused(traitlets.TraitError, ValueError):
    """A refusal after which traitlets takes back all that was set together with it."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a ValueError into a refusal."""
    try:
        yield
    except ValueError as error:
        raise _Refused(str(error)) from None
