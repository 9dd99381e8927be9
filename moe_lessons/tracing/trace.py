"""What a router did to a text: every layer, every token, every expert, as plain arrays."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

from moe_lessons.files import replacing
from moe_lessons.routing_rule import SETTINGS, FollowsRule, RoutingRule
from moe_lessons.tracing.rule import Knobs, Routed, route_with

_FORMAT = "moe-lessons-trace-1"
_ARRAYS = ("logits", "bias", "experts", "weights", "token_ids", "position", "sequence")
_MAY_LACK = ("nats",)


@dataclass(eq=False)
class RoutingTrace(FollowsRule):
    """The routing of a text through a mixture of experts, whoever built the model.

    Raises ValueError, in one sentence, where the parts do not fit together.
    """

    logits: np.ndarray  # float32 [layers, tokens, experts], before the score function
    bias: np.ndarray  # float32 [layers, experts], takes part in the choice only
    experts: np.ndarray  # int64 [layers, tokens, top_k], best first
    weights: np.ndarray  # float32 [layers, tokens, top_k]
    token_ids: np.ndarray  # int64 [tokens]
    position: np.ndarray  # int64 [tokens], within its sequence
    sequence: np.ndarray  # int64 [tokens], which sequence of the batch
    pieces: list[str]  # the tokens as text
    layers: tuple[int, ...]  # the number of each row's layer in the model
    rule: RoutingRule  # what the model followed
    model: str = "model"
    rule_known: bool = True  # False where no rule explains the choices of all layers: then `rule` holds top_k alone
    # What the model made of it all, where whoever recorded the trace noted it.
    nats: np.ndarray | None = None  # float32 [tokens], what each token cost after those before it
    guesses: list[list[tuple[str, float]]] | None = None  # after each token, the likeliest next ones and how likely

    def __post_init__(self) -> None:
        self.logits = np.asarray(self.logits, dtype=np.float32)
        self.bias = np.asarray(self.bias, dtype=np.float32)
        self.weights = np.asarray(self.weights, dtype=np.float32)
        for name in ("experts", "token_ids", "position", "sequence"):
            setattr(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        self.layers, self.pieces = tuple(int(layer) for layer in self.layers), list(self.pieces)
        if self.nats is not None:
            self.nats = np.asarray(self.nats, dtype=np.float32)
        if self.guesses is not None:
            self.guesses = [[(str(piece), float(share)) for piece, share in guess] for guess in self.guesses]
        self._validate()

    def _validate(self) -> None:
        if self.logits.ndim != 3:
            raise ValueError(f"logits has {self.logits.ndim} dimensions, but must be layers x tokens x experts")
        layers, tokens, experts = self.logits.shape
        if layers == 0:
            raise ValueError("logits has zero layers; a trace needs at least one with a router")
        self.rule.check(experts)
        shapes = {
            "bias": (layers, experts),
            "experts": (layers, tokens, self.top_k),
            "weights": (layers, tokens, self.top_k),
            "token_ids": (tokens,),
            "position": (tokens,),
            "sequence": (tokens,),
        } | ({} if self.nats is None else {"nats": (tokens,)})
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, but the logits ask for {shape}")
        if len(self.pieces) != tokens or len(self.layers) != layers:
            raise ValueError(
                f"pieces and layers number {len(self.pieces)} and {len(self.layers)}, "
                f"but the logits ask for {tokens} and {layers}"
            )
        if self.guesses is not None and len(self.guesses) != tokens:
            raise ValueError(f"guesses are given for {len(self.guesses)} tokens, but the logits ask for {tokens}")
        if not all(isinstance(piece, str) for piece in self.pieces):
            raise ValueError("pieces must be the tokens as text; see a tokenizer's pieces(ids)")
        if len(set(self.layers)) != layers:
            raise ValueError(f"layers is {self.layers}, but must name each layer once")
        for name in ("logits", "bias", "weights", *(name for name in _MAY_LACK if getattr(self, name) is not None)):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} has values that are not finite; the model is broken or was trained too fast")
        if self.experts.size and (self.experts.min() < 0 or self.experts.max() >= experts):
            raise ValueError(f"experts names an expert outside 0 to {experts - 1}; the trace belongs to another model")
        if (np.diff(np.sort(self.experts, axis=-1), axis=-1) == 0).any():
            raise ValueError("experts names an expert twice for one token; the choices of a token must differ")

    @classmethod
    def from_logits(
        cls,
        logits: np.ndarray,
        pieces: Sequence[str],
        *,
        bias: np.ndarray | None = None,
        **rest: Any,
    ) -> "RoutingTrace":
        """A trace whose choices follow the routing rule, for logits that come from anywhere.

        `rest` holds settings of the rule, such as `top_k`, which is 2 by default, and fields of the trace.
        """
        logits = np.asarray(logits, dtype=np.float32)
        if logits.ndim != 3:
            raise ValueError(f"logits has {logits.ndim} dimensions, but must be layers x tokens x experts")
        layers, tokens, experts = logits.shape
        bias = np.zeros((layers, experts), np.float32) if bias is None else np.asarray(bias, dtype=np.float32)
        if bias.shape != (layers, experts):
            raise ValueError(f"bias has shape {bias.shape}, but the logits ask for {(layers, experts)}")
        rule = _taken_from(rest, top_k=2)
        routed = route_with(logits, bias[:, None], Knobs(**rule.as_dict()))
        fields = {
            "token_ids": np.full(tokens, -1),
            "position": np.arange(tokens),
            "sequence": np.zeros(tokens),
            "layers": tuple(range(layers)),
        } | rest
        return cls(
            logits=logits,
            bias=bias,
            experts=routed.experts,
            weights=routed.weights,
            pieces=list(pieces),
            rule=rule,
            **fields,
        )

    @property
    def n_layers(self) -> int:
        return self.logits.shape[0]

    @property
    def n_experts(self) -> int:
        return self.logits.shape[2]

    @property
    def n_tokens(self) -> int:
        return self.logits.shape[1]

    @property
    def knobs(self) -> Knobs:
        """How the model routes by itself."""
        return Knobs(**self.rule.as_dict())

    def routed(self, knobs: Knobs | None = None, layers: Collection[int] | None = None) -> list[Routed]:
        """Each layer's routing with these knobs, in these layers (all by default); elsewhere the model's own.

        The model's own choices are those recorded: float32 and float64 may part at a tie. Raises ValueError for
        knobs that cannot be followed, or a layer that the trace lacks.
        """
        own = self.knobs
        knobs = own if knobs is None else knobs.asks_for()
        rows = range(self.n_layers) if layers is None else [self.row(layer) for layer in layers]
        if knobs != own and not self.rule_known:
            raise ValueError(
                f"{self.model} chooses by no rule that tracing knows, so knobs other than its own say nothing about "
                "it; leave the knobs as they are"
            )
        result = []
        for row, layer in enumerate(self.layers):
            turned = row in rows and knobs != own
            settings = knobs if turned else own
            routed = route_with(self.logits[row], self.bias[row], settings, [layer])
            result.append(routed if turned else routed._replace(experts=self.experts[row], weights=self.weights[row]))
        return result

    def load_per_expert(self) -> np.ndarray:
        """How many tokens each expert received: int64 [layers, experts]."""
        return np.stack([np.bincount(layer.ravel(), minlength=self.n_experts) for layer in self.experts])

    def row(self, layer: int) -> int:
        """The row of a layer, given by its number in the model; ValueError where the trace lacks it."""
        if layer not in self.layers:
            raise ValueError(f"layer is {layer}, but this trace has the layers {', '.join(map(str, self.layers))}")
        return self.layers.index(layer)

    def select(
        self, layers: Iterable[int] | None = None, tokens: slice | Sequence[int] | np.ndarray | None = None
    ) -> "RoutingTrace":
        """The same trace with fewer layers (their numbers in the model) or tokens (a slice, indices or a mask)."""
        rows = list(range(self.n_layers)) if layers is None else [self.row(layer) for layer in layers]
        columns = np.arange(self.n_tokens)[slice(None) if tokens is None else tokens]
        cut = np.ix_(np.array(rows, dtype=int), columns)
        return replace(
            self,
            logits=self.logits[cut],
            bias=self.bias[rows],
            experts=self.experts[cut],
            weights=self.weights[cut],
            token_ids=self.token_ids[columns],
            position=self.position[columns],
            sequence=self.sequence[columns],
            pieces=[self.pieces[column] for column in columns],
            layers=tuple(self.layers[row] for row in rows),
            nats=None if self.nats is None else self.nats[columns],
            guesses=None if self.guesses is None else [self.guesses[column] for column in columns],
        )

    def save(self, path: str | Path) -> Path:
        """Write the trace to `path`, which may end in .safetensors or not, whole or not at all.

        Raises OSError where that is impossible; an older file then stays as it was.
        """
        path = Path(path)
        path = path.with_name(path.name.removesuffix(".safetensors") + ".safetensors")
        kept = [name for name in (*_ARRAYS, *_MAY_LACK) if getattr(self, name) is not None]
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in kept}
        small = np.int16 if self.n_experts < 2**15 else np.int32
        arrays["experts"] = arrays["experts"].astype(small)
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*_ARRAYS, *_MAY_LACK, "rule")}
        rest |= self.rule.as_dict()
        content = safetensors.numpy.save(arrays, metadata={"format": _FORMAT, "trace": json.dumps(rest)})
        with replacing(path) as scratch:
            scratch.write_bytes(content)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "RoutingTrace":
        """Read a saved trace; a missing, damaged or foreign file is an error of one sentence that names it."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no trace at {path}; record one with record_routing and save it")
        try:
            with safe_open(path, framework="np") as file:
                header = file.metadata() or {}
                arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path.name} is damaged or not a safetensors file ({error}); save it again") from None
        if header.get("format") != _FORMAT or set(arrays) - set(_MAY_LACK) != set(_ARRAYS):
            raise ValueError(f"{path.name} is not a routing trace; its header does not say {_FORMAT}")
        try:
            rest = json.loads(header["trace"])
            rule = _taken_from(rest)
            return cls(**arrays, rule=rule, **rest)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path.name} holds a damaged trace ({error}); record and save it again") from None

    def __repr__(self) -> str:
        return (
            f"<RoutingTrace: {self.n_tokens} tokens, {len(self.layers)} layers, "
            f"{self.n_experts} experts, top {self.top_k}>"
        )


def _taken_from(values: dict[str, Any], **defaults: Any) -> RoutingRule:
    """The rule whose settings are among these values, which are left without them."""
    given = {name: values.pop(name) for name in SETTINGS if name in values}
    return RoutingRule.from_dict(defaults | given)
