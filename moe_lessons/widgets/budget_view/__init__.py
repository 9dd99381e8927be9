"""Where a transformer's parameters and FLOPs go, layer by layer, with every size on a slider."""

from collections.abc import Mapping
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.accounting import pair_products, parameter_table, part_products, positions_seen
from moe_lessons.accounting.indexer import indexer_parameters, indexer_products
from moe_lessons.config import ModelConfig
from moe_lessons.figures.budget import Slice, draw_budget
from moe_lessons.widgets.shared.view import View, front_end


class BudgetView(View):
    """Parameters and forward FLOPs per token of a LLaMA-style model, dense or sparse, counted in the browser.

    `presets` maps names to configurations, as `ModelConfig` or its `to_dict()`; the first one is shown first.
    """

    _esm, _css = front_end(__file__)
    presets = traitlets.Dict().tag(sync=True)
    preset = traitlets.Unicode().tag(sync=True)
    #: The sizes shown now, as `ModelConfig.to_dict()`; the sliders change it.
    config = traitlets.Dict().tag(sync=True)
    context = traitlets.Int(512, min=1).tag(sync=True)  # tokens each sequence holds

    def __init__(
        self, presets: Mapping[str, ModelConfig | Mapping[str, Any]] | ModelConfig, context: int | None = None
    ) -> None:
        if isinstance(presets, ModelConfig):
            presets = {"your model": presets}
        if not presets:
            raise ValueError("presets is empty; give at least one name with its configuration")
        super().__init__()
        configs = {
            name: config if isinstance(config, ModelConfig) else ModelConfig.from_dict(dict(config))
            for name, config in presets.items()
        }
        self.presets = {name: config.to_dict() for name, config in configs.items()}
        self.preset = next(iter(configs))
        self.config = self.presets[self.preset]
        self.context = self.config["max_length"] if context is None else context

    def figure(self) -> Figure:
        """Two bars, parameters and FLOPs per token, split by part, and the same layer by layer."""
        config = ModelConfig.from_dict(self.config)
        slices = budget(config, self.context)
        title = f"{self.preset}: {config.n_layers} layers, dim {config.dim}, context {self.context}"
        return draw_budget(slices, config.n_layers, title)

    def describe(self) -> str:
        slices = budget(ModelConfig.from_dict(self.config), self.context)
        flops = sum(part.flops for part in slices)
        return f"BudgetView: {sum(part.parameters for part in slices):,} parameters, {flops:,} FLOPs per token"


def budget(config: ModelConfig, context: int) -> list[Slice]:
    """Each part's parameters, those at work on one token, and its FLOPs for one token of a sequence of `context`.

    The FLOPs add up to `forward_flops(config, 1, context) / context`.
    """
    slices = []
    for part in parameter_table(config):
        layer, products = part.layer, part_products(config, part)
        if layer is None or part.name != "attention":
            slices.append(Slice(layer, part.name, part.total, part.active, 2 * products))
            continue
        # Its indexer compares where there is something to choose, and makes no more than keys where there is not.
        products += indexer_products(config, layer, 1, context) - indexer_parameters(config, layer)[0]
        slices.append(Slice(layer, part.name, part.total, part.active, 2 * products))
        seen = positions_seen(config, context, layer)
        slices.append(Slice(layer, "scores", 0, 0, 2 * pair_products(config) * seen))
    return slices
