"""What a router did to a text: every layer, every token, every expert, as plain arrays."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, safe_open

_FORMAT = "moe-lessons-trace-1"
_ARRAYS = ("logits", "bias", "experts", "weights", "token_ids", "position", "sequence")


@dataclass
class RoutingTrace:
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
    top_k: int
    score_function: str = "softmax"
    normalize: bool = True
    route_scale: float = 1.0
    model: str = "model"

    def __post_init__(self) -> None:
        self.logits = np.asarray(self.logits, dtype=np.float32)
        self.bias = np.asarray(self.bias, dtype=np.float32)
        self.weights = np.asarray(self.weights, dtype=np.float32)
        for name in ("experts", "token_ids", "position", "sequence"):
            setattr(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        self.layers, self.pieces = tuple(int(layer) for layer in self.layers), list(self.pieces)
        self._validate()

    def _validate(self) -> None:
        if self.logits.ndim != 3:
            raise ValueError(f"logits has {self.logits.ndim} dimensions, but must be layers x tokens x experts")
        layers, tokens, experts = self.logits.shape
        if experts == 0:
            raise ValueError("logits has zero experts; a trace needs at least one")
        if not 1 <= self.top_k <= experts:
            raise ValueError(f"top_k is {self.top_k}, but must lie between 1 and the {experts} experts of the trace")
        if self.score_function not in ("softmax", "sigmoid"):
            raise ValueError(f"score_function is {self.score_function!r}, but must be 'softmax' or 'sigmoid'")
        shapes = {
            "bias": (layers, experts),
            "experts": (layers, tokens, self.top_k),
            "weights": (layers, tokens, self.top_k),
            "token_ids": (tokens,),
            "position": (tokens,),
            "sequence": (tokens,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, but the logits ask for {shape}")
        if len(self.pieces) != tokens or len(self.layers) != layers:
            raise ValueError(
                f"pieces and layers number {len(self.pieces)} and {len(self.layers)}, "
                f"but the logits ask for {tokens} and {layers}"
            )
        for name in ("logits", "bias", "weights"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} has values that are not finite; the model is broken or was trained too fast")
        if self.experts.size and (self.experts.min() < 0 or self.experts.max() >= experts):
            raise ValueError(f"experts names an expert outside 0 to {experts - 1}; the trace belongs to another model")

    @property
    def n_experts(self) -> int:
        return self.logits.shape[2]

    @property
    def n_tokens(self) -> int:
        return self.logits.shape[1]

    def load_per_expert(self) -> np.ndarray:
        """How many tokens each expert received: int64 [layers, experts]."""
        return np.stack([np.bincount(layer.ravel(), minlength=self.n_experts) for layer in self.experts])

    def select(self, tokens: slice | np.ndarray) -> "RoutingTrace":
        """The same trace for some of its tokens."""
        return replace(
            self,
            logits=self.logits[:, tokens],
            experts=self.experts[:, tokens],
            weights=self.weights[:, tokens],
            token_ids=self.token_ids[tokens],
            position=self.position[tokens],
            sequence=self.sequence[tokens],
            pieces=list(np.array(self.pieces, dtype=object)[tokens]),
        )

    def save(self, path: str | Path) -> Path:
        """Write the trace as safetensors; raises OSError where that is impossible."""
        path = Path(path).with_suffix(".safetensors")
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        small = np.int16 if self.n_experts < 2**15 else np.int32
        arrays["experts"] = arrays["experts"].astype(small)
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ARRAYS}
        safetensors.numpy.save_file(arrays, path, metadata={"format": _FORMAT, "trace": json.dumps(rest)})
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
        if header.get("format") != _FORMAT or set(arrays) != set(_ARRAYS):
            raise ValueError(f"{path.name} is not a routing trace; its header does not say {_FORMAT}")
        return cls(**arrays, **json.loads(header["trace"]))

    def __repr__(self) -> str:
        return (
            f"<RoutingTrace: {self.n_tokens} tokens, {len(self.layers)} layers, "
            f"{self.n_experts} experts, top {self.top_k}>"
        )
