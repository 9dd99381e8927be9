"""ContextView: what a conversation costs in memory, by its length, for models as published and as they might be."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.accounting import Kept, count_parameters, numbers_kept
from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.widgets.context_view.picture import CacheCurve, brief_bytes, draw_context, in_k
from moe_lessons.widgets.shared.view import View, front_end

#: Sizes that accelerators are sold with, in bytes.
MEMORIES = {"24 GB": 24e9, "80 GB": 80e9, "8 x 80 GB": 640e9, "8 x 141 GB": 1128e9}
BITS = (32, 16, 8, 4)
MOST_CONVERSATIONS = 4096


class ContextView(View):
    """Bytes of cache against context, beside the weights and the sizes of memories.

    `models` maps names to configurations; `shown` names those drawn, all by default. `rebuilt` names one model to be
    drawn alone: as published, and as it would be with other attention. `parameters`, `kept` and `notes` say by name
    what our modules do not count, do not keep and do not do. Raises ValueError for what cannot be drawn.
    """

    _esm, _css = front_end(__file__)

    models = traitlets.List(traitlets.Dict()).tag(sync=True)
    memories = traitlets.Dict().tag(sync=True)
    shown = traitlets.List(traitlets.Unicode()).tag(sync=True)
    rebuilt = traitlets.Unicode("").tag(sync=True)  # empty: the models side by side
    context = traitlets.Int(131_072).tag(sync=True)  # tokens of one conversation
    conversations = traitlets.Int(1).tag(sync=True)
    bits = traitlets.Enum(BITS, 16).tag(sync=True)  # of each number in the cache
    weight_bits = traitlets.Enum(BITS, 16).tag(sync=True)
    memory = traitlets.Unicode().tag(sync=True)
    kv_heads = traitlets.Int(8).tag(sync=True)  # of the rebuilt model, grouped
    latent_heads = traitlets.Int(4).tag(sync=True)  # its latent's width, in heads: DeepSeek took 4

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        shown: Sequence[str] | None = None,
        *,
        context: int = 131_072,
        rebuilt: str = "",
        parameters: Mapping[str, int] | None = None,
        kept: Mapping[str, Kept] | None = None,
        notes: Mapping[str, str] | None = None,
        memories: Mapping[str, float] = MEMORIES,
    ) -> None:
        if not models:
            raise ValueError("models is empty; give at least one name with its configuration")
        if not memories or not all(0 < size < math.inf for size in memories.values()):
            raise ValueError(f"memories is {dict(memories)}, but needs names with bytes above 0")
        super().__init__()
        parameters, kept, notes = parameters or {}, kept or {}, notes or {}
        self.models = [
            dict(_facts(name, config, parameters.get(name), kept.get(name)), note=notes.get(name, ""))
            for name, config in models.items()
        ]
        self.memories = dict(memories)
        self.shown = list(models) if shown is None else list(shown)
        self.context, self.rebuilt = context, rebuilt
        self._make_room()

    def _make_room(self) -> None:
        """Open where the weights of all that is shown fit: in as many bits as can be, and then the least memory."""
        drawn = [rebuilt] if (rebuilt := self.rebuilt) else self.shown
        largest = max((model["parameters"] for model in self.models if model["name"] in drawn), default=0)
        rooms = sorted(self.memories, key=self.memories.__getitem__)
        for bits in (16, 8, 4):
            for name in rooms:
                if largest * bits / 8 < self.memories[name]:
                    self.weight_bits, self.memory = bits, name
                    return
        self.weight_bits, self.memory = 16, rooms[-1]

    @traitlets.validate("context", "conversations", "kv_heads", "latent_heads")
    def _inside(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        most = {"conversations": MOST_CONVERSATIONS, "context": 2**20}.get(name, 1024)
        if not 1 <= value <= most:
            raise ValueError(f"{name} is {value}, but must be at least 1 and at most {most:,}")
        return value

    @traitlets.validate("shown", "rebuilt", "memory")
    def _known(self, proposal: dict) -> str | list[str]:
        name, value = proposal["trait"].name, proposal["value"]
        known = list(self.memories) if name == "memory" else [model["name"] for model in self.models]
        for one in value if name == "shown" else [value]:
            if one not in known and not (name == "rebuilt" and not one):
                raise ValueError(f"{name} names {one!r}, but the names are: {', '.join(known)}")
        return value

    def curves(self) -> list[CacheCurve]:
        """What is drawn now."""
        chosen = next((model for model in self.models if model["name"] == self.rebuilt), None)
        if chosen is not None:
            rows = [(name, chosen, kept) for name, kept in might_keep(chosen, self.kv_heads, self.latent_heads).items()]
        else:
            drawn = [model for model in self.models if model["name"] in self.shown]
            rows = [(model["name"], model, Kept(*model["kept"])) for model in drawn]
        return [
            CacheCurve(
                name,
                in_bytes(kept, self.bits),
                model["parameters"] * self.weight_bits / 8,
                model["max_length"],
                what_if=chosen is not None and place > 0,
            )
            for place, (name, model, kept) in enumerate(rows)
        ]

    def figure(self) -> Figure:
        """The curves as they stand; as in the browser, a model keeps its color when others are left out."""
        names = [model["name"] for model in self.models]
        places = range(len(names)) if self.rebuilt else [names.index(curve.name) for curve in self.curves()]
        colors = [self.palette[place % len(self.palette)] for place in places] or self.palette
        title = f"{self.rebuilt}, as it might be" if self.rebuilt else f"At {in_k(self.context)} tokens of context"
        return draw_context(self.curves(), self.memories, self.context, self.conversations, title, colors)

    def describe(self) -> str:
        costs = {curve.name: curve.kept.at(self.context) * self.conversations for curve in self.curves()}
        sizes = ", ".join(f"{name} {brief_bytes(cost)}" for name, cost in costs.items())
        return f"ContextView: {self.conversations:,} x {in_k(self.context)} tokens: {sizes or 'no model'}"


def groups(n_heads: int, asked: int) -> int:
    """The largest number of key-value heads that divides the model's heads and is not above the one asked for."""
    return next(number for number in range(min(asked, n_heads), 0, -1) if n_heads % number == 0)


def in_bytes(kept: Kept, bits: int) -> Kept:
    """Bytes in place of numbers."""
    return Kept(kept.growing * bits / 8, kept.windowed * bits / 8, kept.window, kept.fixed * bits / 8)


def might_keep(model: Mapping[str, Any], kv_heads: int, latent_heads: int) -> dict[str, Kept]:
    """Numbers that a text leaves behind, as published and as it would be, by the kind of attention."""
    n_layers, n_heads, head_dim = model["n_layers"], model["n_heads"], model["head_dim"]
    n = groups(n_heads, kv_heads)
    in_a_layer = {
        "multi-head": 2 * n_heads * head_dim,
        f"grouped, {n}": 2 * n * head_dim,
        "multi-query": 2 * head_dim,
        f"latent, {latent_heads * head_dim}": latent_heads * head_dim + head_dim // 2,
    }
    would_be = {name: Kept(n_layers * numbers) for name, numbers in in_a_layer.items()}
    return {"as published": Kept(*model["kept"]), **would_be}


def _facts(name: str, config: ModelConfig, parameters: int | None, kept: Kept | None) -> dict[str, Any]:
    heads = config.attention
    return {
        "name": name,
        "n_layers": config.n_layers,
        "n_heads": heads.n_heads,
        "head_dim": heads.v_head_dim if isinstance(heads, LatentAttentionConfig) else heads.head_dim,
        "kept": list(kept or numbers_kept(config)),
        "parameters": parameters or count_parameters(config).total,
        "max_length": config.max_length,
    }
