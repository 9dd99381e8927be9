"""Models of Hugging Face's `transformers`, heard and steered as ours are; that library is never imported here.

No class of theirs is known by name. Their mixtures are found among the modules (`mixtures.py`), how one is read is
learned from a pass and proved on it (`reading.py`), and so is its rule (`learned_rule.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from moe_lessons.tracing.foreign_router import ForeignRouter
from moe_lessons.tracing.mixtures import find_mixtures
from moe_lessons.tracing.rehearsal import REHEARSING, run_eagerly

__all__ = [
    "Batch",
    "ForeignRouter",
    "foreign_passes",
    "foreign_routers",
    "logits_of",
    "longest_text",
    "run_eagerly",
    "sizes_of",
]


def foreign_routers(model: nn.Module) -> dict[int, ForeignRouter]:
    """The routers of one of transformers' models by the number of their layer; none for a dense model.

    Raises ValueError for a model with a router whose experts are not found, be it one among several, and for a part of
    a model, in which layers have no number.
    """
    return {mixture.layer: ForeignRouter(model, mixture) for mixture in find_mixtures(model)}


class Batch(NamedTuple):
    """The tokens of one forward pass, in the order in which the routers see them."""

    ids: Int[Tensor, " tokens"]  # -1 where the model was given vectors in place of tokens
    position: Int[Tensor, " tokens"]
    sequence: Int[Tensor, " tokens"]
    kept: Bool[Tensor, " tokens"]  # False for padding, which nobody reads


@contextmanager
def foreign_passes(model: nn.Module, stack: str, begin: Callable[[Batch], None]) -> Iterator[None]:
    """Inside the block, call `begin` for each forward pass as it reaches the first layer of the list named `stack`.

    Positions are the model's own, also behind a cache, whose later passes continue the sequences of the earlier ones.
    Layers that run again because activations are recomputed begin nothing.
    """
    state: dict[str, Any] = {"cache": None, "rows": 0, "first": 0, "waiting": False, "mask": None}
    state |= {"ids": None, "inside": False}

    def start(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        if REHEARSING.get():
            return
        # A whole may look tokens up, and make another kind of mask, before it asks its text model.
        state.update(ids=None, mask=None, inside=True)
        note_mask(inputs, named)

    def note_mask(inputs: tuple, named: dict[str, Any]) -> None:
        mask = named.get("attention_mask", inputs[1] if len(inputs) > 1 else None)
        if isinstance(mask, Tensor) and mask.ndim == 2:
            state["mask"] = mask

    def enter(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        if REHEARSING.get():
            return
        if not state["inside"]:
            start(module, inputs, named)
        note_mask(inputs, named)
        cache = named.get("past_key_values")
        state.update(waiting=True, places=named.get("position_ids"), past=_length(cache), given=cache)

    def look_up(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        state["ids"] = inputs[0].detach().cpu()

    def reach(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> None:
        if not state["waiting"]:
            return
        hidden = inputs[0] if inputs else named["hidden_states"]
        rows, time = hidden.shape[:2]
        places = _places(named.get("position_ids"), state["places"], state["past"], time)
        cache = named.get("past_key_values")
        cache = state["given"] if cache is None else cache
        goes_on = cache is not None and cache is state["cache"] and not (places == 0).any()
        first = state["first"] if goes_on else state["first"] + state["rows"]
        mask, ids = state["mask"], state["ids"]
        batch = Batch(
            ids=torch.full((rows * time,), -1) if ids is None or ids.numel() != rows * time else ids.flatten(),
            position=places.expand(rows, time).flatten(),
            sequence=torch.arange(first, first + rows).repeat_interleave(time),
            kept=torch.ones(rows * time, dtype=torch.bool) if mask is None else mask[:, -time:].bool().cpu().flatten(),
        )
        state.update(cache=cache, rows=rows, first=first, waiting=False, inside=False)
        begin(batch)

    layers = cast(nn.ModuleList, model.get_submodule(stack))
    above = model.get_submodule(stack.rpartition(".")[0])
    handles = [
        above.register_forward_pre_hook(enter, with_kwargs=True),
        cast(Any, model).get_input_embeddings().register_forward_pre_hook(look_up),
        layers[0].register_forward_pre_hook(reach, with_kwargs=True),
    ]
    if model is not above:
        handles.append(model.register_forward_pre_hook(start, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _length(cache: Any) -> int:
    return int(cache.get_seq_length()) if hasattr(cache, "get_seq_length") else 0


def _places(of_layer: Any, of_stack: Any, past: int, time: int) -> Int[Tensor, "#batch time"]:
    """The positions that the model goes by; where it says none, they go on behind the cache."""
    said = next((each.detach().cpu() for each in (of_layer, of_stack) if isinstance(each, Tensor)), None)
    if said is None:
        return torch.arange(past, past + time)[None]
    return said[0] if said.ndim == 3 else said.reshape(-1, said.shape[-1])  # of time, height and width, the first


def logits_of(model: nn.Module, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
    """What a model, ours or theirs, says about each next token."""
    answer = model(ids)
    return answer if isinstance(answer, Tensor) else answer.logits


def longest_text(model: nn.Module) -> int:
    """How many tokens a model, ours or theirs, can read at once."""
    sizes = sizes_of(model)
    return sizes.max_length if hasattr(model, "blocks") else sizes.max_position_embeddings


def sizes_of(model: nn.Module) -> Any:
    """The configuration of a model, ours or theirs; of one with eyes, that of its text model.

    `vocab_size` has the same name in all.
    """
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config
