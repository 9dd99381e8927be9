"""A prompt in, its routing out: what a learner's text box asks of a model, with or without knobs turned."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from moe_lessons.model.router import Routing
from moe_lessons.routing_rule import FollowsRule
from moe_lessons.tracing.hugging_face import logits_of, longest_text, sizes_of
from moe_lessons.tracing.record import find_routers, observe_routing, record_routing
from moe_lessons.tracing.rule import Knobs, Routed, route_with
from moe_lessons.tracing.steer import steer_routing
from moe_lessons.tracing.trace import RoutingTrace

N_GUESSES = 5  # next tokens noted after each token
_CLOSE = 1e-3  # how far the same model's logits may be apart, relative and absolute: another batch, another device


class Tokenizer(Protocol):
    """A tokenizer, as far as a prompt needs one."""

    document_id: int

    def encode(self, text: str) -> list[int]: ...

    def pieces(self, ids: list[int]) -> list[str]: ...


@dataclass(frozen=True, eq=False)
class Applied:
    """What a model did with knobs turned, beside what it does by itself."""

    before: RoutingTrace
    knobs: Knobs
    layers: tuple[int, ...]  # where the knobs were turned
    #: The same tokens with the logits, the cost and the guesses of the turned model, and with what its routers would
    #: choose there by themselves. What they did choose is `routed`.
    after: RoutingTrace

    @property
    def routed(self) -> list[Routed]:
        """Each layer's routing in the turned model; a later layer saw what the turned ones before it made."""
        return self.after.routed(self.knobs, self.layers)


class Tracer:
    """A function from a text to its trace in `model`, as RouterView's `ask=` wants it; see `tracer`."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer, name: str = "model") -> None:
        self.layers = tuple(find_routers(model))
        self.model, self.tokenizer, self.name = model, tokenizer, name

    def __call__(self, text: str) -> RoutingTrace:
        if not text:
            raise ValueError("the prompt is empty; type at least one character")
        ids = self.tokenizer.encode(text)
        longest = longest_text(self.model) - 1
        over = len(ids) - longest
        if over > 0:
            raise ValueError(
                f"the prompt has {len(ids):,} tokens, but the model reads at most {longest} of a prompt; "
                f"shorten it by {over:,} {'token' if over == 1 else 'tokens'}"
            )
        return self._read(ids)

    def apply(self, text: str | RoutingTrace, knobs: Knobs, layers: Collection[int] | None = None) -> Applied:
        """Run the model with its routers turned, in these layers (all by default), and as it is.

        The token that begins the document follows the knobs too, but takes no slot and gets no noise: both count the
        text's tokens. Raises ValueError for knobs that cannot be followed, or a trace that is not this model's.
        """
        before = self(text) if isinstance(text, str) else self._again(text)
        layers = before.layers if layers is None else tuple(before.layers[before.row(layer)] for layer in layers)
        with steer_routing(self.model, turned(self.model, knobs, layers)):
            after = self._read(before.token_ids.tolist(), before)
        return Applied(before, knobs, layers, after)

    def _again(self, trace: RoutingTrace) -> RoutingTrace:
        """The trace's tokens read once more; ValueError where that gives another trace."""
        if self.layers != trace.layers or (trace.sequence != trace.sequence[:1]).any():
            raise ValueError(
                f"the trace has the layers {', '.join(map(str, trace.layers))} and {len(set(trace.sequence.tolist()))} "
                f"texts, but this model routes one text in the layers {', '.join(map(str, self.layers))}; "
                "ask this model for a trace"
            )
        ids = trace.token_ids.tolist()
        if len(ids) >= longest_text(self.model) or not all(0 <= i < sizes_of(self.model).vocab_size for i in ids):
            raise ValueError("the trace has tokens that this model cannot read; ask this model for a trace")
        again = self._read(ids)
        if again.logits.shape != trace.logits.shape or not np.allclose(again.logits, trace.logits, _CLOSE, _CLOSE):
            raise ValueError(
                "the trace is of another model, or of this one before it was trained further: the same tokens now "
                "meet other scores; ask this model for a trace"
            )
        return again

    def _read(self, ids: Sequence[int], known: RoutingTrace | None = None) -> RoutingTrace:
        """The trace of these tokens; with `known`, that one with other logits, cost and guesses."""
        device = next(self.model.parameters()).device
        begun = torch.tensor([[self.tokenizer.document_id, *ids]], device=device)
        with torch.no_grad():
            if known is None:
                with record_routing(self.model, self.tokenizer) as trace:
                    logits = logits_of(self.model, begun)[0]
                trace = trace.select(tokens=slice(1, None))
            else:
                with observe_routing(self.model) as seen:
                    logits = logits_of(self.model, begun)[0]
                met = np.stack([seen[layer].logits[1:].float().cpu().numpy() for layer in known.layers])
                by_itself = route_with(met, known.bias[:, None], known.knobs)
                trace = replace(known, logits=met, experts=by_itself.experts, weights=by_itself.weights)
            nats, guesses = self._next(logits.float(), begun[0, 1:])
        return replace(trace, nats=nats, guesses=guesses, model=self.name)

    def _next(self, logits: Tensor, ids: Tensor) -> tuple[np.ndarray, list[list[tuple[str, float]]]]:
        """What each token cost, and what was likeliest after it."""
        logs = logits.log_softmax(dim=-1)
        nats = -logs[:-1].gather(1, ids[:, None])[:, 0].cpu().numpy()
        best = logs[1:].topk(min(N_GUESSES, logs.shape[1]), dim=-1)
        pieces = [self.tokenizer.pieces(row) for row in best.indices.tolist()]
        shares = best.values.exp().tolist()
        return nats, [list(zip(*pair, strict=True)) for pair in zip(pieces, shares, strict=True)]


def tracer(model: nn.Module, tokenizer: Tokenizer, name: str = "model") -> Tracer:
    """What answers a text with its trace in `model`, also with knobs turned: `ask(text)`, `ask.apply(text, knobs)`.

    As in training, the model reads the token that begins a document before the text; the trace leaves it out, so
    that its tokens are the text's. Raises ValueError for a model without a router; the answer does for a text
    that is empty, too long for the model, or has no UTF-8 form.
    """
    return Tracer(model, tokenizer, name)


def turned(model: nn.Module, knobs: Knobs, layers: Collection[int] | None = None):
    """A change for `steer_routing`: in these layers (all by default) the rule on arrays routes, with these knobs.

    For one text in a batch of its own, behind the token that begins a document. The rule itself runs, so that no
    second one can differ from it; gradients stop there. Raises ValueError for knobs that cannot be followed.
    """
    routers = find_routers(model)
    layers = tuple(routers) if layers is None else tuple(layers)
    for layer in layers:
        if layer not in routers:
            raise ValueError(f"layer {layer} has no router; the layers {', '.join(map(str, routers))} have one")
        knobs.check(len(routers[layer].weight))
    own = {layer: own_knobs(router) for layer, router in routers.items()}
    of_start = replace(knobs, noise=0.0, capacity=0.0)

    def change(layer: int, routing: Routing) -> Routing:
        if layer not in layers or knobs.asks_for() == own[layer]:
            return routing
        router = routers[layer]
        logits = routing.logits.detach().float().cpu().numpy()
        bias = None if router.expert_bias is None else router.expert_bias.float().cpu().numpy()
        start = route_with(logits[:1], bias, of_start)
        text = route_with(logits[1:], bias, knobs, [layer])

        def joined(part: str, like: Tensor) -> Tensor:
            both = np.concatenate([getattr(start, part), getattr(text, part)])
            return torch.from_numpy(both).to(like.device, like.dtype)

        return routing._replace(
            experts=joined("experts", routing.experts),
            weights=joined("weights", routing.weights),
            scores=joined("scores", routing.scores),
        )

    return change


def own_knobs(router: FollowsRule) -> Knobs:
    """How a router routes by itself."""
    return Knobs(**router.rule.as_dict())
