"""A prompt in, its routing out: what a learner's text box asks of a model."""

from collections.abc import Callable
from typing import Protocol

import torch

from moe_lessons.model.transformer import Transformer
from moe_lessons.tracing.record import find_routers, record_routing
from moe_lessons.tracing.trace import RoutingTrace


class Tokenizer(Protocol):
    """A tokenizer, as far as a prompt needs one."""

    document_id: int

    def encode(self, text: str) -> list[int]: ...

    def pieces(self, ids: list[int]) -> list[str]: ...


def tracer(model: Transformer, tokenizer: Tokenizer, name: str = "model") -> Callable[[str], RoutingTrace]:
    """A function from a text to its trace in `model`, as RouterView's `ask=` wants it.

    As in training, the model reads the token that begins a document before the text; the trace leaves it out, so
    that its tokens are the text's. Raises ValueError for a model without a router; the function does for a text
    that is empty, too long for the model, or has no UTF-8 form.
    """
    find_routers(model)
    longest = model.config.max_length - 1

    def ask(text: str) -> RoutingTrace:
        if not text:
            raise ValueError("the prompt is empty; type at least one character")
        ids = tokenizer.encode(text)
        over = len(ids) - longest
        if over > 0:
            raise ValueError(
                f"the prompt has {len(ids):,} tokens, but the model reads at most {longest} of a prompt; "
                f"shorten it by {over:,} {'token' if over == 1 else 'tokens'}"
            )
        begun = torch.tensor([[tokenizer.document_id, *ids]], device=model.embedding.weight.device)
        with record_routing(model, tokenizer) as trace, torch.no_grad():
            model(begun)
        trace.model = name
        return trace.select(tokens=slice(1, None))

    return ask
