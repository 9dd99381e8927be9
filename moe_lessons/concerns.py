"""Parts of a model's configuration that many models do without, a frozen dataclass each; None leaves them out."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from math import inf
from typing import Any, Literal


def require(condition: bool, sentence: str) -> None:
    """Raise ValueError with this sentence unless the condition holds."""
    if not condition:
        raise ValueError(sentence)


def require_positive(config: object, *names: str) -> None:
    """Raise ValueError, in one sentence, unless these fields are whole numbers of at least 1."""
    for name in names:
        value = getattr(config, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(whole and value >= 1, f"{name} is {value!r}, but must be a whole number of at least 1")


def require_above_zero(config: object, *names: str) -> None:
    """Raise ValueError, in one sentence, unless these fields are None or finite numbers above 0."""
    for name in names:
        value = getattr(config, name)
        require(value is None or 0 < value < inf, f"{name} is {value}, but must be above 0 and finite, or None")


# Marks a field that `as_plain` leaves out at its default, so that models without it are written as before it was.
RARE = {"rare": True}


def as_plain(config: Any) -> dict[str, Any]:
    """Nested values of a configuration, for JSON and TOML, without rare fields at their default."""
    shown = {f.name: getattr(config, f.name) for f in fields(config)}
    hidden = {f.name for f in fields(config) if "rare" in f.metadata and shown[f.name] == f.default}
    return {
        name: as_plain(value) if is_dataclass(value) else value for name, value in shown.items() if name not in hidden
    }


def built(cls: type, values: Mapping[str, Any], prefix: str, parts: Mapping[str, type]) -> Any:
    """The inverse of `as_plain`: a configuration from nested values, whose entries of these names are built before it.

    An unknown or missing name is a ValueError that says which; `prefix` stands before names in it.
    """
    values, known = dict(values), {f.name: f for f in fields(cls)}
    for name, value in values.items():
        if name in parts and isinstance(value, Mapping):
            values[name] = built(parts[name], value, f"{prefix}{name}.", parts)
    for name in values:
        require(name in known, f"{cls.__name__} has no field {prefix}{name}; it has: {', '.join(known)}")
    for name, f in known.items():
        require(f.default is not MISSING or name in values, f"{cls.__name__} needs {prefix}{name}, which is not given")
    return cls(**values)


@dataclass(frozen=True, kw_only=True)
class SlidingWindow:
    """Layers whose tokens see only the last `size` positions, themselves included (arXiv:2004.05150, section 3.1).

    `pattern` is repeated over the layers: ("windowed", "full") alternates, as gpt-oss (arXiv:2508.10925) and Gemma 2
    (arXiv:2408.00118) do; Gemma 3 has five windowed layers for each full one (arXiv:2503.19786).
    """

    size: int
    pattern: tuple[Literal["windowed", "full"], ...] = ("windowed",)
    rope_theta: float | None = None  # of windowed layers, which then know no rope_scaling; None: as the full ones turn

    def __post_init__(self) -> None:
        require_positive(self, "size")
        object.__setattr__(self, "pattern", tuple(self.pattern))  # JSON and TOML know lists alone
        require(len(self.pattern) > 0, "pattern is empty, but must name at least one kind of layer; ('windowed',) does")
        for kind in self.pattern:
            require(kind in ("windowed", "full"), f"pattern has {kind!r}, but each layer must be 'windowed' or 'full'")
        require("windowed" in self.pattern, "pattern has no 'windowed' layer; leave the window out instead")
        theta = self.rope_theta
        require(theta is None or theta > 0, f"rope_theta is {theta}, but must be above 0; 10000 is usual")

    def of(self, layer: int) -> int | None:
        """How many positions a layer's tokens see; None: all before them.

        >>> [SlidingWindow(size=128, pattern=("windowed", "full")).of(layer) for layer in range(3)]
        [128, None, 128]
        """
        return self.size if self.pattern[layer % len(self.pattern)] == "windowed" else None


@dataclass(frozen=True, kw_only=True)
class HyperConnectionConfig:
    """Several residual streams in place of one, mixed by learned weights (arXiv:2409.19606, arXiv:2512.24880)."""

    n_streams: int = 4
    sinkhorn_steps: int = 20  # rounds that make the streams' mixing doubly stochastic
    eps: float = 1e-6  # is added to sums before anything is divided by them

    def __post_init__(self) -> None:
        require_positive(self, "n_streams", "sinkhorn_steps")
        require(self.eps >= 0, f"eps is {self.eps}, but must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How one half of a feed-forward layer, or of an expert, decides how much of the other passes.

    The defaults are SwiGLU's. gpt-oss has sharpness 1.702, limit 7 and shift 1 (arXiv:2508.10925, section 2.3);
    Gemma's activation is "gelu", by its tanh form (arXiv:2403.08295, section 2; arXiv:1606.08415, section 2).
    """

    activation: Literal["silu", "gelu"] = "silu"
    sharpness: float = 1.0  # silu is g * sigmoid(sharpness * g)
    limit: float | None = None  # the gate is at most this, and the other half between this and its negative
    shift: float = 0.0  # added to the other half

    def __post_init__(self) -> None:
        known = ("silu", "gelu")
        require(self.activation in known, f"activation is {self.activation!r}, but must be 'silu' or 'gelu'")
        require(self.sharpness > 0, f"sharpness is {self.sharpness}, but must be above 0; 1 is silu's own")
        require(
            self.activation == "silu" or self.sharpness == 1,
            f"sharpness is {self.sharpness}, but only activation 'silu' has one; leave it at 1",
        )
        require(self.limit is None or self.limit > 0, f"limit is {self.limit}, but must be above 0, or None for none")
