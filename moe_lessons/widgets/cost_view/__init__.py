"""What a model costs to hold, to train and to write with, on which accelerator, every assumption on a slider."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.accounting.price import (
    PRECISIONS,
    Accelerator,
    Costs,
    Sizes,
    accelerators,
    costs,
    generation_speed,
    has_sizes,
    sizes,
)
from moe_lessons.cards import card_names, card_values
from moe_lessons.config import ModelConfig
from moe_lessons.figures.budget import brief
from moe_lessons.figures.cost import draw_cost
from moe_lessons.widgets.shared.view import View, front_end

BATCHES = tuple(2**power for power in range(13))
_KNOBS: dict[str, Any] = {
    "preset": "deepseek-v3",
    "device": "h800",
    "precision": "fp8",
    "context": 4096,
    "batch": 32,
    "devices": 0,
    "utilization": 0.4,
    "bandwidth_utilization": 0.4,
    "price": 2.0,
    "tokens": 14.8e12,
}


def _has_another_cache(name: str) -> bool:
    """Whether a card's model keeps something else than its configuration says, which the card counts by formulas."""
    return any("cache" in extra for extra in card_values(name).get("extra", ()))


class CostView(View):
    """A calculator of memory, speed and price; the pictures are made in the browser while a knob moves.

    `presets` maps names to configurations; without it there is every card whose configuration says what a text costs:
    none that picks the tokens it reads, or keeps something else than keys, values or latents. Any knob can be given:
    preset, device, precision, total, active, context, batch, devices (0: as few as hold the model), utilization (of the
    arithmetic's peak), bandwidth_utilization (of the memory's), price (USD an hour), tokens (to train on). Raises
    ValueError for knobs that make no sense.
    """

    _esm, _css = front_end(__file__)
    presets = traitlets.Dict().tag(sync=True)
    devices = traitlets.Dict().tag(sync=True)
    knobs = traitlets.Dict().tag(sync=True)

    def __init__(self, presets: Mapping[str, ModelConfig] | None = None, **knobs: Any) -> None:
        if presets is None:
            presets = {
                name: ModelConfig.from_card(name) for name in card_names(later=True) if not _has_another_cache(name)
            }
            presets = {name: config for name, config in presets.items() if has_sizes(config)}
        if not presets:
            raise ValueError("presets is empty; give at least one name with its configuration")
        self._sizes = {name: sizes(config) for name, config in presets.items()}
        self._devices = accelerators()
        preset = knobs.get("preset", _KNOBS["preset"] if _KNOBS["preset"] in presets else next(iter(presets)))
        if preset not in presets:
            raise ValueError(f"preset is {preset!r}, but must be one of: {', '.join(presets)}")
        model = self._sizes[preset]
        values: dict[str, Any] = {**_KNOBS, "total": model.total, "active": model.active, **knobs, "preset": preset}
        if "context" not in knobs:
            values["context"] = min(values["context"], model.longest)
        super().__init__()
        self.presets = {name: asdict(one) for name, one in self._sizes.items()}
        self.devices = {name: asdict(one) | {"peak": dict(one.peak)} for name, one in self._devices.items()}
        self.knobs = values

    @traitlets.validate("knobs")
    def _possible_knobs(self, proposal: dict) -> dict[str, Any]:
        values = proposal["value"]
        known = {*_KNOBS, "total", "active"}
        if set(values) != known:
            wrong = ", ".join(sorted(set(values) ^ known))
            raise ValueError(f"{wrong}: unknown or missing; the knobs are: {', '.join(sorted(known))}")
        for name, table in (("preset", self._sizes), ("device", self._devices), ("precision", PRECISIONS)):
            if values[name] not in table:
                raise ValueError(f"{name} is {values[name]!r}, but must be one of: {', '.join(table)}")
        self._found(values)
        return values

    @property
    def model(self) -> Sizes:
        """The numbers of the model shown."""
        return self._sizes[self.knobs["preset"]].with_parameters(self.knobs["total"], self.knobs["active"])

    @property
    def device(self) -> Accelerator:
        """The accelerator chosen."""
        return self._devices[self.knobs["device"]]

    def costs(self) -> Costs:
        """What the present knobs come to."""
        return self._found(self.knobs)

    def _found(self, values: dict[str, Any]) -> Costs:
        model = self._sizes[values["preset"]].with_parameters(values["total"], values["active"])
        names = ("precision", "batch", "context", "utilization", "bandwidth_utilization", "price", "tokens")
        device = self._devices[values["device"]]
        return costs(model, device, n_devices=values["devices"], **{name: values[name] for name in names})

    def figure(self) -> Figure:
        """Memory by precision, and tokens a second over texts at once under either roof."""
        found, knobs = self.costs(), self.knobs
        speeds = [
            generation_speed(
                self.model,
                self.device,
                n_devices=found.n_devices,
                precision=knobs["precision"],
                batch=batch,
                context=knobs["context"],
                utilization=knobs["utilization"],
                bandwidth_utilization=knobs["bandwidth_utilization"],
            )
            for batch in BATCHES
        ]
        roofs = {
            "memory": [batch / speed.memory for batch, speed in zip(BATCHES, speeds, strict=True)],
            "arithmetic": [batch / speed.arithmetic for batch, speed in zip(BATCHES, speeds, strict=True)],
        }
        here = knobs["batch"], found.speed.tokens_per_second
        return draw_cost(found.memory, knobs["precision"], self.device.memory, BATCHES, roofs, here, self.describe())

    def describe(self) -> str:
        found, knobs = self.costs(), self.knobs
        name = knobs["preset"] + (" with other sizes" if self.model != self._sizes[knobs["preset"]] else "")
        return (
            f"CostView: {name} on {found.n_devices} x {self.device.name} in {knobs['precision']}: at best "
            f"{brief(found.speed.tokens_per_second)} tokens a second, bound by {found.speed.bound}; "
            f"training on {brief(knobs['tokens'])} tokens {brief(found.training_price)} USD"
        )
