"""Time and money: how long an accelerator takes, what stops it, and what that costs.

A model is reduced to the few numbers that decide this; the CostView widget computes the same in the browser.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from moe_lessons.accounting.flops import cached_pair_products, pair_products, token_products
from moe_lessons.accounting.indexer import indexer_of
from moe_lessons.accounting.memory import cache_bytes_per_token
from moe_lessons.accounting.parameters import count_parameters
from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.resources import data_path

#: Bytes a number; scales of small blocks, which 8- and 4-bit numbers need, would add a few per cent.
PRECISIONS: Mapping[str, float] = {"fp32": 4, "bf16": 2, "fp8": 1, "fp4": 0.5}


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One entry of data/accelerators.toml: what its maker says it can do at best."""

    name: str
    memory: float  # bytes
    bandwidth: float  # bytes a second, from and to that memory
    peak: Mapping[str, float]  # FLOPs a second by precision, dense
    link: float  # bytes a second to its neighbors, in and out together
    source: str
    network: float | None = None  # bytes a second out of the machine, one way

    def peak_at(self, precision: str) -> float:
        """Numbers that it cannot multiply as they are become 16-bit ones first."""
        return self.peak.get(precision, self.peak["bf16"])


def accelerators() -> dict[str, Accelerator]:
    """All of data/accelerators.toml, by short name."""
    written = tomllib.loads(data_path("accelerators.toml").read_text(encoding="utf-8"))
    return {name: Accelerator(**values) for name, values in written.items()}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """All that speed and price depend on. Raises ValueError where fewer than 1 or more than all parameters work."""

    total: int  # parameters
    active: int  # at work on one token
    products: int  # of each token by itself
    pairs: int  # products of each pair of tokens, all layers, while training
    cached_pairs: int  # the same while generating
    cache_numbers: int  # that each token leaves behind
    share: float = 1.0  # of the routed experts, at work on one token
    longest: int = 1_048_576  # tokens that the model reads
    windowed: float = 0.0  # share of the layers whose tokens see only the last `window` positions
    window: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.active <= self.total:
            raise ValueError(
                f"active is {self.active:,}, but must lie between 1 and total = {self.total:,}: no model has more "
                "parameters at work than it holds; lower active or raise total"
            )

    @property
    def routed(self) -> float:
        """Parameters of the routed experts: those idle for one token, over the share that is."""
        idle = self.total - self.active
        return idle / (1 - min(self.share, self.active / self.total)) if idle else 0.0

    def seen(self, context: int) -> float:
        """Positions that the last of `context` tokens looks at and the cache keeps, in the mean over the layers."""
        return context - self.windowed * max(0, context - self.window) if self.windowed else context

    def seen_causally(self, context: int) -> float:
        """Positions that a text's tokens see, each of them up to itself alone, in the mean over tokens and layers."""
        width = min(context, self.window)
        within = width * (2 * context - width + 1) / (2 * context)
        return (1 - self.windowed) * (context + 1) / 2 + self.windowed * within

    def with_parameters(self, total: int, active: int) -> "Sizes":
        """Another number of parameters, the same attention; what works more also multiplies more."""
        return replace(self, total=total, active=active, products=max(1, self.products + active - self.active))


def has_sizes(config: ModelConfig) -> bool:
    """Whether a few numbers say what a model costs: not where tokens are picked, or where entries stand for many."""
    return not isinstance(config.attention, SharedKVAttentionConfig) and indexer_of(config, 0) is None


def sizes(config: ModelConfig) -> Sizes:
    """What a configuration comes to; ValueError for one that `has_sizes` says no to."""
    if not has_sizes(config):
        raise ValueError(
            "the model picks tokens or lets entries stand for many, which Sizes cannot say; ask continuation_flops and "
            "cache_bytes instead"
        )
    count, heads = count_parameters(config), config.attention
    window = heads.window if isinstance(heads, AttentionConfig) else None
    n_windowed = sum(window is not None and window.of(layer) is not None for layer in range(config.n_layers))
    return Sizes(
        total=count.total,
        active=count.active,
        products=token_products(config),
        pairs=config.n_layers * pair_products(config),
        cached_pairs=config.n_layers * cached_pair_products(config),
        cache_numbers=cache_bytes_per_token(config, 1),
        share=config.moe.top_k / config.moe.n_routed_experts if config.moe else 1.0,
        longest=config.max_length,
        windowed=n_windowed / config.n_layers,
        window=window.size if window is not None else 1,
    )


class Flops(NamedTuple):
    """FLOPs per token."""

    training: float  # forward and backward over texts of `context` tokens, only the pairs that a token may see
    generation: float  # one more token behind a text of `context` tokens, itself among them


def flops_per_token(model: Sizes, context: int) -> Flops:
    """What one token costs to learn from and to write."""
    training = 6 * (model.products + model.pairs * model.seen_causally(context))
    return Flops(training, 2.0 * (model.products + model.cached_pairs * model.seen(context)))


class Memory(NamedTuple):
    """Bytes while generating."""

    weights: float
    cache: float  # of all sequences of the batch


def memory(model: Sizes, precision: str, batch: int, context: int) -> Memory:
    """All parameters, idle or not, and what `batch` texts of `context` tokens leave behind; both at one precision."""
    size = PRECISIONS[precision]
    return Memory(size * model.total, size * model.cache_numbers * batch * model.seen(context))


def devices_needed(model: Sizes, device: Accelerator, precision: str, batch: int, context: int) -> int:
    """The fewest devices whose memory holds weights and cache."""
    return max(1, math.ceil(sum(memory(model, precision, batch, context)) / device.memory))


class Speed(NamedTuple):
    """A step that writes one token in each of the batch's texts."""

    arithmetic: float  # seconds that the products take
    memory: float  # seconds that reading takes: weights that anybody needs, and all caches
    tokens_per_second: float  # of all texts together

    @property
    def bound(self) -> str:
        """What a step waits for."""
        return "memory" if self.memory > self.arithmetic else "arithmetic"


def generation_speed(
    model: Sizes,
    device: Accelerator,
    *,
    n_devices: int,
    precision: str,
    batch: int,
    context: int,
    utilization: float = 1.0,
    bandwidth_utilization: float = 1.0,
) -> Speed:
    """The roofline: a step takes as long as its products or its reading, whichever is longer.

    `utilization` is the share of the arithmetic's peak that is reached, `bandwidth_utilization` that of the memory's.
    Weights are read once for the whole batch; of the routed experts those that some token chose, as many as
    independent and even choices would touch. What goes over links is not counted, so this is a ceiling.
    """
    touched = 1 - (1 - min(model.share, model.active / model.total)) ** batch
    read = PRECISIONS[precision] * (model.total - model.routed * (1 - touched))
    read += memory(model, precision, batch, context).cache
    flops = batch * flops_per_token(model, context).generation
    seconds = flops / (n_devices * device.peak_at(precision) * utilization)
    waiting = read / (n_devices * device.bandwidth * bandwidth_utilization)
    return Speed(seconds, waiting, batch / max(seconds, waiting))


def training_hours(flops: float, device: Accelerator, utilization: float) -> float:
    """Hours of one accelerator for so many FLOPs; utilization is the share of its 16-bit peak."""
    return flops / (device.peak["bf16"] * utilization) / 3600


def utilization(flops: float, hours: float, device: Accelerator) -> float:
    """The share of the 16-bit peak that was reached, from a model's FLOPs and a bill's hours (often called MFU)."""
    return flops / (hours * 3600 * device.peak["bf16"])


class Costs(NamedTuple):
    """All that the calculator shows."""

    flops: Flops
    memory: dict[str, Memory]  # by precision
    needed: int  # devices that hold weights and caches
    n_devices: int  # devices at work
    speed: Speed
    per_million: float  # money for a million tokens that are written
    training_flops: float
    training_hours: float
    training_price: float


def costs(
    model: Sizes,
    device: Accelerator,
    *,
    precision: str,
    batch: int,
    context: int,
    utilization: float,
    price: float,
    tokens: float,
    n_devices: int = 0,
    bandwidth_utilization: float = 1.0,
) -> Costs:
    """What a model costs to train on `tokens` and to write with, at `price` an hour; n_devices = 0: as few as hold it.

    Training is priced by its arithmetic alone, so that `bandwidth_utilization` changes nothing there. Raises ValueError
    for a context longer than the model reads, and for a share, price or number that makes no sense.
    """
    for name, value in (("batch", batch), ("context", context), ("tokens", tokens)):
        if value < 1:
            raise ValueError(f"{name} is {value}, but must be at least 1")
    if context > model.longest:
        raise ValueError(f"context is {context}, but the model reads at most {model.longest} tokens; lower it")
    for name, share in (("utilization", utilization), ("bandwidth_utilization", bandwidth_utilization)):
        if not 0 < share <= 1:
            raise ValueError(f"{name} is {share}, but is a share of the peak, above 0 and at most 1")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, but must be one of: {', '.join(PRECISIONS)}")
    if price < 0 or n_devices < 0:
        raise ValueError(f"price is {price} and n_devices is {n_devices}, but neither can be negative")
    needed = devices_needed(model, device, precision, batch, context)
    n_devices = n_devices or needed
    speed = generation_speed(
        model,
        device,
        n_devices=n_devices,
        precision=precision,
        batch=batch,
        context=context,
        utilization=utilization,
        bandwidth_utilization=bandwidth_utilization,
    )
    flops = flops_per_token(model, context)
    hours = training_hours(tokens * flops.training, device, utilization)
    return Costs(
        flops=flops,
        memory={name: memory(model, name, batch, context) for name in PRECISIONS},
        needed=needed,
        n_devices=n_devices,
        speed=speed,
        per_million=n_devices * price / 3600 * 1e6 / speed.tokens_per_second,
        training_flops=tokens * flops.training,
        training_hours=hours,
        training_price=hours * price,
    )
