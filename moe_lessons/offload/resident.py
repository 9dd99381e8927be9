"""A model whose experts stay in their file: a few slots in each layer, and the one that is missing is fetched."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from moe_lessons.model.dispatch import gated, sort_by_expert
from moe_lessons.model.moe import MoE
from moe_lessons.model.shaped_moe import ShapedExperts
from moe_lessons.model.transformer import Transformer
from moe_lessons.offload.slots import Slots, Worth
from moe_lessons.offload.store import ExpertFile


class OffloadedExperts(nn.Module):
    """Stands in for `model.experts.Experts`, with `slots` of its experts in memory and the others in a file.

    The sum is that of dispatch's `sorted_by_expert`, to the bit: experts work in any order, their results are added in
    that of their numbers. One expert at a time is needed, so a pass of many tokens may ask for more than there are
    slots. Raises OSError where a fetch fails: what is resident stays, and what was asked for can be asked for again.
    """

    gate_up: Tensor
    down: Tensor

    def __init__(self, file: ExpertFile, prefix: str, slots: int, worth: Worth | None = None) -> None:
        super().__init__()
        self.file, self.names = file, (f"{prefix}.gate_up", f"{prefix}.down")
        if lacking := [name for name in self.names if name not in file.places]:
            raise ValueError(f"{file.path.name} lacks the tensor {lacking[0]}; it was made for another model")
        self.place = prefix.removesuffix(".feed_forward.experts").replace("blocks.", "layer ")
        (self.n_experts, *gate_up), (_, *down) = (file.places[name].shape for name in self.names)
        if not 1 <= slots <= self.n_experts:
            raise ValueError(f"slots is {slots}, but must be from 1 to the {self.n_experts} experts of a layer")
        self.slots = Slots(slots, worth)
        # Not parameters: they belong to no state_dict, and nothing trains them.
        self.register_buffer("gate_up", torch.empty(slots, *gate_up), persistent=False)
        self.register_buffer("down", torch.empty(slots, *down), persistent=False)
        self.hits = self.misses = 0

    def forward(
        self,
        hidden: Float[Tensor, "tokens dim"],
        experts: Int[Tensor, "tokens top_k"],
        weights: Float[Tensor, "tokens top_k"],
    ) -> Float[Tensor, "tokens dim"]:
        """Sum over a token's chosen experts of weight * expert(token)."""
        order, counts = sort_by_expert(experts, self.n_experts)
        rows = order // experts.shape[1]
        ends = counts.cumsum(0).tolist()
        asked = [expert for expert, count in enumerate(counts.tolist()) if count]
        outputs = hidden.new_empty(len(order), hidden.shape[1])
        first = self.slots.turn + 1
        few, left = len(asked) <= len(self.slots.holds), set(asked)
        # Those that are there work before anything is fetched, so that nothing is fetched twice in a pass.
        for expert in sorted(asked, key=lambda expert: expert not in self.slots.slot_of):
            slot = self._slot(expert, keep=asked if few else left)
            mine = slice(ends[expert] - int(counts[expert]), ends[expert])
            outputs[mine] = F.linear(gated(F.linear(hidden[rows[mine]], self.gate_up[slot])), self.down[slot])
            left.discard(expert)
        for row, wanted in enumerate(experts.tolist()):
            for expert in wanted:
                self.slots.used(expert, first + row)
        weighted = outputs * weights.flatten()[order, None]
        return torch.zeros_like(hidden).index_add(0, rows, weighted.to(hidden.dtype))

    def _slot(self, expert: int, keep: Collection[int]) -> int:
        """Where the expert is, after fetching it if need be."""
        if expert in self.slots.slot_of:
            self.hits += 1
            return self.slots.slot_of[expert]
        # Read first: where that fails, nobody has lost a place.
        words = f"expert {expert} of {self.place}"
        parts = [self.file.read(name, expert, words) for name in self.names]
        slot = self.slots.bring(expert, keep).slot
        for whole, part in zip((self.gate_up, self.down), parts, strict=True):
            whole[slot] = part
        self.misses += 1
        return slot

    @property
    def resident_bytes(self) -> int:
        """Memory of the slots, used or not: all that this layer's experts ever take, but for the one being read."""
        return self.gate_up.nbytes + self.down.nbytes

    @property
    def all_bytes(self) -> int:
        """What all of the layer's experts would take."""
        return self.resident_bytes // len(self.slots.holds) * self.n_experts

    def extra_repr(self) -> str:
        return f"{len(self.slots.holds)} of {self.n_experts} experts in memory"


class Traffic(NamedTuple):
    """What all layers' slots have seen together."""

    hits: int  # times that a pass found an expert it asked for
    misses: int  # and that it had to be fetched
    bytes_read: int  # from the file, what is always in memory included
    resident_bytes: int  # of all slots
    all_bytes: int  # that all experts would take


def load_offloaded(path: str | Path, *, slots: int, worth: Worth | None = None) -> Transformer:
    """A saved model with `slots` experts of each sparse layer in memory, LRU unless `worth` says otherwise.

    Never are all of its experts in memory: the rest of it is read tensor by tensor, and they one by one when they are
    asked for. It works on the CPU in float32, as the whole model does, and cannot be trained. Raises FileNotFoundError
    or ValueError, in one sentence, for a file that is missing, damaged or foreign, or holds a dense model; OSError
    where a fetch fails later on.
    """
    file = ExpertFile(path)
    model = Transformer(file.config(), device="meta")
    sparse = {name: each for name, each in model.named_modules() if isinstance(each, MoE)}
    if not sparse:
        raise ValueError(f"{file.path.name} holds a dense model; only experts can be left in the file")
    if any(isinstance(moe.experts, ShapedExperts) for moe in sparse.values()):
        raise ValueError(
            f"{file.path.name} holds experts with biases or another gate; only plain ones can be left in the file"
        )
    for moe in sparse.values():
        moe.add_module("experts", nn.Identity())  # so that nothing is allocated for them
    model.allocate()
    rest = {name: tensor for name, tensor in model.state_dict().items() if name in file.places}
    for name, moe in sparse.items():
        moe.add_module("experts", OffloadedExperts(file, f"{name}.experts", slots, worth))
    for name, tensor in rest.items():
        if tensor.shape != file.places[name].shape:
            raise ValueError(
                f"{file.path.name} holds {name} of size {list(file.places[name].shape)}, but the model's is "
                f"{list(tensor.shape)}; write the checkpoint again"
            )
        tensor.copy_(file.read(name))
    missing = set(model.state_dict()) - set(rest) - ({"head.weight"} if model.config.tie_embeddings else set())
    if missing:
        raise ValueError(f"{file.path.name} lacks the tensor {min(missing)}; it was made for another model")
    return model.requires_grad_(False).eval()


def offloaded(model: nn.Module) -> list[OffloadedExperts]:
    """The model's layers of experts that live in a file; ValueError where it has none."""
    found = [module for module in model.modules() if isinstance(module, OffloadedExperts)]
    if not found:
        raise ValueError("the model has all of its experts in memory; load it with load_offloaded")
    return found


def traffic(model: nn.Module) -> Traffic:
    """What the slots of a model from `load_offloaded` have seen so far."""
    layers = offloaded(model)
    return Traffic(
        hits=sum(layer.hits for layer in layers),
        misses=sum(layer.misses for layer in layers),
        bytes_read=layers[0].file.bytes_read,
        resident_bytes=sum(layer.resident_bytes for layer in layers),
        all_bytes=sum(layer.all_bytes for layer in layers),
    )
