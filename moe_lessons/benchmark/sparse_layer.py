"""The sparse layer against a dense one of its active size: each dispatch, the whole layer, and Hugging Face's."""

from collections.abc import Callable
from functools import partial
from textwrap import shorten
from typing import NamedTuple

import torch
from torch import Tensor, nn

from moe_lessons.benchmark.fused_dense import fused_dense
from moe_lessons.benchmark.mixtral import mixtral_blocks
from moe_lessons.benchmark.timing import Timing, interleaved
from moe_lessons.config import MoEConfig
from moe_lessons.model.dispatch import STRATEGIES, fastest
from moe_lessons.model.feed_forward import SwiGLU
from moe_lessons.model.moe import MoE

MOST_MEMORY = 4 * 2**30  # bytes: a way that asks for more is left out
PEER = "Mixtral "  # how the names of Hugging Face's blocks begin
DENSE = "dense", "dense, fused"  # through autograd, and written by hand as our fused dispatch is


class Shape(NamedTuple):
    """Sizes of a sparse layer, and how many tokens go through it at a time."""

    dim: int
    hidden: int
    experts: int
    top_k: int
    tokens: int

    @property
    def flops(self) -> int:
        """Of one pass forward and backward: three matrices, each in three products, two for a multiply-add."""
        return 18 * self.tokens * self.top_k * self.hidden * self.dim


SHAPES = (
    Shape(128, 128, 8, 2, 4096),
    Shape(128, 64, 32, 4, 4096),
    Shape(256, 128, 32, 4, 4096),
    Shape(512, 256, 64, 6, 2048),
)
# A GPU is busy with nothing smaller; the first is the race of lesson 06.
GPU_SHAPES = (Shape(1024, 512, 32, 4, 16_384), Shape(2048, 1024, 64, 6, 16_384))


class Contest(NamedTuple):
    """Ways to do the same work, timed side by side; `left_out` says why others were not."""

    shape: Shape
    default: str  # our dispatch, where nothing else is asked for
    timings: dict[str, Timing]
    left_out: dict[str, str]

    @property
    def rival(self) -> str:
        """The faster of the dense layers: a sparse one that is written by hand races one that is, too."""
        return min((name for name in DENSE if name in self.timings), key=lambda name: self.timings[name].median)

    def ratio(self, name: str, to: str | None = None) -> float:
        """How many times as long as the way `to`, by default the faster dense layer, this way takes."""
        return self.timings[name].median / self.timings[to or self.rival].median

    def best_peer(self) -> str | None:
        """The fastest of Hugging Face's blocks; None where transformers is missing."""
        peers = [name for name in self.timings if name.startswith(PEER)]
        return min(peers, key=lambda name: self.timings[name].median, default=None)


class Way(NamedTuple):
    """A function of the hidden states, and what it has gradients for."""

    forward: Callable[[Tensor], Tensor]
    parameters: list[Tensor]

    def both(self, hidden: Tensor, slope: Tensor) -> None:
        """Forward and backward, with new gradients, as in a step of training."""
        for tensor in (hidden, *self.parameters):
            tensor.grad = None
        self.forward(hidden).backward(slope)


def compare(shape: Shape, rounds: int, device: torch.device, dtype: torch.dtype) -> Contest:
    """Time every way that this machine has through the layer, forward and backward, from the same hidden states."""
    hidden = torch.randn(1, shape.tokens, shape.dim, device=device, dtype=dtype, requires_grad=True)
    slope = torch.randn_like(hidden)
    layer = _layer(shape).to(device, dtype)
    ways, left_out = ways_through(layer, shape, hidden)
    calls = {name: partial(way.both, hidden, slope) for name, way in ways.items()}
    calls["dense"]()  # starts PyTorch's threads
    trial = interleaved(calls, rounds=1, warmup=0)
    patience = 20 * trial["dense"].median
    # Some take a hundred times as long: their one call will do.
    timings = trial | interleaved({name: calls[name] for name in calls if trial[name].median < patience}, rounds)
    routes = torch.empty(shape.tokens, shape.top_k)
    default = fastest(hidden.flatten(0, 1), routes, layer.experts.gate_up)
    return Contest(shape, default, {name: timings[name] for name in calls}, left_out)


def ways_through(layer: MoE, shape: Shape, hidden: Tensor) -> tuple[dict[str, Way], dict[str, str]]:
    """Every way by name, the dense layers first, and why others are left out. Outputs of all sparse ones are the same.

    "dense" is a SwiGLU as wide as the experts of one token together, and "dense, fused" the same layer as one
    operation. Our dispatches are given the routes; "MoE" and Hugging Face's Mixtral blocks are whole layers, with a
    router.
    """
    device, dtype = hidden.device, hidden.dtype
    dense = SwiGLU(shape.dim, shape.top_k * shape.hidden).to(device, dtype)
    ways, left_out = {"dense": Way(dense, list(dense.parameters()))}, {}
    if device.type == "cpu":
        stacked = torch.cat([dense.gate.weight, dense.up.weight]).detach().requires_grad_()
        last = dense.down.weight.detach().clone().requires_grad_()
        ways["dense, fused"] = Way(partial(_fused_dense, stacked, last), [stacked, last])
    else:
        left_out["dense, fused"] = "written for the CPU"
    routing = layer.router(hidden.detach().flatten(0, 1))
    weights, (gate_up, down) = routing.weights.detach().requires_grad_(), layer.experts.parameters()
    for name, strategy in STRATEGIES.items():
        if name == "fused" and device.type != "cpu":
            left_out[name] = "written for the CPU"
        elif name == "one_hot" and (needed := _one_hot_bytes(routing.experts, shape.experts)) > MOST_MEMORY:
            left_out[name] = f"would take {needed / 2**30:.0f} GiB for its zeros"
        else:
            dispatch = partial(_dispatch, strategy, routing.experts, weights, gate_up, down)
            ways[name] = Way(dispatch, [weights, gate_up, down])
    ways["MoE"] = Way(layer, list(layer.parameters()))
    try:
        for name, block in mixtral_blocks(layer):
            way = Way(block, list(block.parameters()))
            if reason := _reason_against(name, way, shape, hidden):
                left_out[PEER + name] = reason
            else:
                ways[PEER + name] = way
    except ImportError:
        left_out["Hugging Face"] = "transformers is not installed"
    return ways, left_out


def _layer(shape: Shape) -> MoE:
    layer = MoE(shape.dim, MoEConfig(n_routed_experts=shape.experts, top_k=shape.top_k, hidden_dim=shape.hidden))
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return layer


def _fused_dense(gate_up: Tensor, down: Tensor, hidden: Tensor) -> Tensor:
    return fused_dense(hidden.flatten(0, 1), gate_up, down).view_as(hidden)


def _dispatch(
    strategy: Callable[..., Tensor], experts: Tensor, weights: Tensor, gate_up: Tensor, down: Tensor, hidden: Tensor
) -> Tensor:
    return strategy(hidden.flatten(0, 1), experts, weights, gate_up, down).view_as(hidden)


def _one_hot_bytes(experts: Tensor, n_experts: int) -> int:
    """A place for each choice, expert and slot: as an integer twice, and once as the weight that is in it."""
    slots = int(torch.bincount(experts.flatten(), minlength=n_experts).max())
    return experts.numel() * n_experts * slots * (8 + 8 + 4)


def _reason_against(implementation: str, way: Way, shape: Shape, hidden: Tensor) -> str:
    """Why Hugging Face's implementation cannot be timed here; empty where it can."""
    matrices = 3 * shape.dim * shape.hidden * hidden.element_size()
    # batched_mm gives every choice a copy of its expert's matrices, and later of their gradients.
    if implementation == "batched_mm" and (needed := 2 * shape.tokens * shape.top_k * matrices) > MOST_MEMORY:
        return f"would take {needed / 2**30:.0f} GiB for copies of the experts"
    try:
        few = hidden.detach()[:, :16].requires_grad_()
        way.both(few, torch.ones_like(few))
    except Exception as error:  # whatever is missing here: a package, a kind of GPU
        said = str(error).strip() or type(error).__name__
        return f"does not run here: {shorten(said.splitlines()[0].partition('. ')[0], 90)}"
    return ""
