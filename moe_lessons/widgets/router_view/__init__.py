"""RouterView: where every token goes, in every layer, drawn from one trace and turned with knobs in the browser."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.routing import draw_routing
from moe_lessons.routing_rule import SCORE_FUNCTIONS
from moe_lessons.tracing.align import partners
from moe_lessons.tracing.rule import DROPPING, Knobs, Routed
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets.shared.view import View, front_end

MOST_TOKENS = 4096  # what the browser draws without stutter
MOST_EXPERTS = 1024  # grid.js keeps an expert's number in ten bits
Ask = Callable[[str], RoutingTrace]
_FIXED = ("route_scale", "n_groups", "group_score")  # settings of the rule that no knob turns: each trace keeps its own
_TURNED = tuple(f.name for f in fields(Knobs) if f.name not in _FIXED)  # knobs that are traits


class RouterView(View):
    """Token strip, layer x token grid, expert load and one token's scores, all of one RoutingTrace.

    `ask(text)` gives a RoutingTrace for a text typed into the prompt box; what it raises is shown as one sentence.
    `apply(trace, knobs, layers)` runs the model with knobs turned and gives an Applied; by default `ask.apply`, if
    there is one. `prompts` are texts to choose from, or a mapping from their names. `compare` is a second trace, of the
    same layers and experts: before and after training, or another prompt; then `ask` may be a pair, one for each. All
    knobs are traits: `view.layer = 2` (the layer's number in the model), `view.top_k = 1`. Raises ValueError for a
    trace that cannot be drawn.
    """

    _esm, _css = front_end(__file__)

    title = traitlets.Unicode("").tag(sync=True)
    prompts = traitlets.Dict().tag(sync=True)
    can_ask = traitlets.Bool(False).tag(sync=True)
    can_apply = traitlets.Bool(False).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    pinned = traitlets.Int(0).tag(sync=True)
    #: The expert that stays in color while the others fade; -1 for none.
    highlight = traitlets.Int(-1).tag(sync=True)
    #: Which of two compared traces is shown: 0 or 1.
    side = traitlets.Int(0, min=0, max=1).tag(sync=True)

    top_k = traitlets.Int(1).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    score_function = traitlets.Enum(SCORE_FUNCTIONS, "softmax").tag(sync=True)
    normalize = traitlets.Bool(True).tag(sync=True)
    noise = traitlets.Float(0.0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    #: Slots of each expert as a multiple of an even share; 0 for no limit.
    capacity = traitlets.Float(0.0).tag(sync=True)
    dropping = traitlets.Enum(DROPPING, DROPPING[0]).tag(sync=True)
    #: Of each expert, on top of the router's own; empty for none.
    bias = traitlets.List(traitlets.Float()).tag(sync=True)
    #: Experts that no token may choose.
    off = traitlets.List(traitlets.Int()).tag(sync=True)
    top_groups = traitlets.Int(1).tag(sync=True)
    #: The number of the layer whose router the knobs turn; -1 for every layer.
    acts_on = traitlets.Int(-1).tag(sync=True)

    #: Sizes, settings and text of the trace; then its arrays as little-endian bytes: float32 logits
    #: [layers, tokens, experts], bias [layers, experts], weights [layers, tokens, top_k], and uint16 experts.
    facts = traitlets.Dict().tag(sync=True)
    arrays = traitlets.Bytes().tag(sync=True)
    other_facts = traitlets.Dict().tag(sync=True)  # of the trace that it is compared with; empty for none
    other_arrays = traitlets.Bytes().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    partners = traitlets.Bytes().tag(sync=True)  # int32 [tokens], each token's counterpart in the other; -1 for none
    #: The knobs that were applied to the model, and its costs and guesses; float32 logits as in the trace.
    applied = traitlets.Dict().tag(sync=True)
    applied_logits = traitlets.Bytes().tag(sync=True)
    #: Counts traces, so that the browser takes a new one up once, when all of its parts are there.
    drawn = traitlets.Int(0).tag(sync=True)
    #: Counts answered messages, with or without success.
    answered = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        trace: RoutingTrace,
        ask: Ask | tuple[Ask, Ask] | None = None,
        prompts: Mapping[str, str] | Iterable[str] | None = None,
        title: str | None = None,
        *,
        compare: RoutingTrace | None = None,
        names: Sequence[str] | None = None,
        apply: Callable[..., Any] | None = None,
    ) -> None:
        _check(trace)
        self._trace, self._other, self._result = trace, None, None
        self._names = list(names) if names else None
        super().__init__()
        self._asks = ask if isinstance(ask, tuple) else (ask,)
        self._apply = apply or getattr(self._asks[0], "apply", None)
        if not isinstance(prompts, Mapping):
            prompts = {text: text for text in prompts or ()}
        self.title, self.prompts = title or "", dict(prompts)
        self.can_ask, self.can_apply = ask is not None, self._apply is not None
        self.trace = trace
        self.compared = compare
        self.on_msg(self._receive)

    # ---- what is shown

    @property
    def trace(self) -> RoutingTrace:
        """What is shown. Another trace keeps the knobs as far as they fit it; ValueError if it cannot be drawn."""
        return self._trace

    @trace.setter
    def trace(self, trace: RoutingTrace) -> None:
        _check(trace)
        old, first = self._trace, self.drawn == 0
        same_router = not first and _settings(old) == _settings(trace)
        self._trace, self._result = trace, None
        with self.hold_sync(), self.hold_trait_notifications():
            self.facts, self.arrays = _facts(trace), _arrays(trace)
            if not same_router:
                self.reset()
                self.highlight = -1
            self.layer = self.layer if self.layer in trace.layers else trace.layers[0]
            visible = [token for token, piece in enumerate(trace.pieces) if piece.strip()]
            self.pinned = visible[-1] if visible else trace.n_tokens - 1
            self.applied, self.applied_logits = {}, b""
            self.message = ""
            self._pair(self._other if self._other is not None and _same_shape(trace, self._other) else None)
            self.drawn += 1

    @property
    def compared(self) -> RoutingTrace | None:
        """The trace that the shown one is compared with, or None; ValueError if the two cannot be compared."""
        return self._other

    @compared.setter
    def compared(self, other: RoutingTrace | None) -> None:
        if other is not None:
            _check_pair(self._trace, other)
        with self.hold_sync():
            self._pair(other)
            self.drawn += 1

    def _pair(self, other: RoutingTrace | None) -> None:
        self._other = other
        self.other_facts = {} if other is None else _facts(other)
        self.other_arrays = b"" if other is None else _arrays(other)
        self.partners = b"" if other is None else partners(self._trace, other).astype("<i4").tobytes()
        self.names = [] if other is None else self._names or _names(self._trace, other)
        self.side = 0

    # ---- knobs

    @property
    def knobs(self) -> Knobs:
        """All knobs as they stand; they act on every layer, or on the layer that `acts_on` names."""
        turned = {name: getattr(self, name) for name in _TURNED}
        return replace(self._trace.knobs, **turned)

    @knobs.setter
    def knobs(self, knobs: Knobs) -> None:
        knobs.check(self._trace.n_experts)
        with self.hold_sync(), self.hold_trait_notifications():
            for name in _TURNED:
                value = getattr(knobs, name)
                setattr(self, name, list(value) if isinstance(value, tuple) else value)

    def reset(self) -> None:
        """Turn every knob back to what the model did."""
        with self.hold_sync(), self.hold_trait_notifications():
            self.knobs = self._trace.knobs
            self.acts_on = -1

    @property
    def moved(self) -> bool:
        """Whether a knob asks for anything but what the model did."""
        return self.knobs.asks_for() != self._trace.knobs

    def routing(self) -> list[Routed]:
        """Each layer's routing as it is drawn: with applied knobs, what the model did with them; else the rule's."""
        if self._result is not None and self._is_applied():
            return self._result.routed
        return self._routed(self._shown())

    def _shown(self) -> RoutingTrace:
        return self._other if self.side and self._other is not None else self._trace

    def _routed(self, trace: RoutingTrace) -> list[Routed]:
        if not self.moved:
            return trace.routed()
        knobs = replace(self.knobs, **{name: getattr(trace.rule, name) for name in _FIXED})
        return trace.routed(knobs, self._layers())

    def _layers(self) -> tuple[int, ...] | None:
        return None if self.acts_on < 0 else (self.acts_on,)

    # ---- what needs the model

    def show(self, text: str) -> None:
        """Ask for the trace of a text, as the prompt box does: a failure becomes one sentence, the picture stays."""
        if self._asks[0] is None:
            self.message = "This view has no model to ask; give RouterView a function with ask=."
            return
        with self.hold_sync():
            try:
                answers = [ask(text) for ask in self._asks if ask is not None]
                _check(answers[0])
                if len(answers) > 1:
                    _check_pair(*answers)
                    self._other = answers[1]
                self.trace = answers[0]
            except Exception as error:
                self.message = _sentence(error)
            self.answered += 1

    def apply(self) -> None:
        """Run the model with the knobs as they stand, as "Apply to the model" does; a failure becomes one sentence."""
        with self.hold_sync():
            self._result, self.applied, self.applied_logits, self.message = None, {}, b"", ""
            try:
                if self._apply is None:
                    raise ValueError("this view has no model to apply knobs to; give RouterView a tracer with ask=")
                if self._other is not None:
                    raise ValueError("knobs are applied to one trace; stop comparing first")
                result = self._apply(self._trace, self.knobs, self._layers())
                self.applied_logits = result.after.logits.astype("<f4").tobytes()
                self.applied = {
                    "knobs": self._turned(),
                    "before": _reading(result.before),
                    "after": _reading(result.after),
                }
                self._result = result
            except Exception as error:
                self.message = _sentence(error)
            self.answered += 1

    def _turned(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*_TURNED, "acts_on")}

    def _is_applied(self) -> bool:
        return self._other is None and self.moved and self.applied.get("knobs") == self._turned()

    def _receive(self, _: Any, content: dict, buffers: list) -> None:
        if not isinstance(content, dict):
            return
        if isinstance(content.get("ask"), str):
            self.show(content["ask"])
        elif isinstance(content.get("apply"), dict):
            with self.hold_sync():
                try:
                    # The message may overtake the traits that the browser saves.
                    with self.hold_trait_notifications():
                        for name in set(content["apply"]) & set(self._turned()):
                            setattr(self, name, content["apply"][name])
                except Exception as error:
                    self.message = _sentence(error)
                    self.answered += 1
                    return
                self.apply()
        elif isinstance(content.get("keep"), bool):
            with self.hold_sync():
                self.compared = self._trace if content["keep"] else None
                self.answered += 1

    # ---- stills and words

    def figure(self) -> Figure:
        """The same picture, still: text, every layer, load and the pinned token's scores."""
        shown, other = self._shown(), None
        pinned = self.pinned
        if self._other is not None:
            other = self._trace if self.side else self._other
            there = partners(self._trace, self._other)
            if self.side:
                pinned = int(there[pinned]) if there[pinned] >= 0 else min(pinned, shown.n_tokens - 1)
        return draw_routing(
            shown,
            layer=self.layer,
            pinned=pinned,
            routed=self.routing(),
            moved=self.moved,
            highlight=None if self.highlight < 0 else self.highlight,
            title=self.title,
            knobs=self.knobs,
            acts_on=None if self.acts_on < 0 else self.acts_on,
            applied=self._is_applied(),
            other=None if other is None else self._routed(other),
            partners=None if other is None else partners(shown, other),
            names=("", "") if other is None else ("AB"[self.side], "AB"[1 - self.side]),
        )

    def describe(self) -> str:
        trace = self._trace
        size = f"{trace.n_tokens} tokens, {trace.n_layers} layers, {trace.n_experts} experts, top {self.top_k}"
        state = " (knobs applied)" if self._is_applied() else " (knobs moved)" if self.moved else ""
        beside = "" if self._other is None else f", compared with {self._other.n_tokens} tokens"
        return f"RouterView: {size}{beside}{state}"

    @traitlets.validate("layer", "acts_on")
    def _known_layer(self, proposal: dict) -> int:
        name, layer = proposal["trait"].name, proposal["value"]
        with _refusing():
            if (name, layer) != ("acts_on", -1):
                self._trace.row(layer)
        return layer

    @traitlets.validate("pinned")
    def _known_token(self, proposal: dict) -> int:
        token, n_tokens = proposal["value"], self._trace.n_tokens
        with _refusing():
            if not 0 <= token < n_tokens:
                raise ValueError(f"pinned is {token}, but the trace has the tokens 0 to {n_tokens - 1}")
        return token

    @traitlets.validate("highlight")
    def _known_expert(self, proposal: dict) -> int:
        expert, n_experts = proposal["value"], self._trace.n_experts
        with _refusing():
            if not -1 <= expert < n_experts:
                raise ValueError(f"highlight is {expert}, but the experts are 0 to {n_experts - 1}, and -1 is none")
        return expert

    @traitlets.validate("top_k", "temperature", "noise", "seed", "capacity", "bias", "off", "top_groups")
    def _possible(self, proposal: dict) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        with _refusing():
            knobs = replace(self.knobs, **{name: tuple(value) if isinstance(value, list) else value})
            knobs.check(self._trace.n_experts)
        return value


class _Refused(traitlets.TraitError, ValueError):
    """A refusal after which traitlets takes back all that was set together with it."""


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise _Refused(str(error)) from None


def _facts(trace: RoutingTrace) -> dict[str, Any]:
    starts = np.flatnonzero(np.diff(trace.sequence)) + 1
    return {
        "layers": list(trace.layers),
        "tokens": trace.n_tokens,
        "experts": trace.n_experts,
        "pieces": trace.pieces,
        "starts": starts.tolist(),
        "rule": trace.rule.as_dict(),
        "model": trace.model,
        **_reading(trace),
    }


def _reading(trace: RoutingTrace) -> dict[str, Any]:
    """What the model made of the text, rounded for the way to the browser."""
    return {
        "nats": None if trace.nats is None else [round(float(cost), 4) for cost in trace.nats],
        "guesses": trace.guesses and [[(piece, round(share, 4)) for piece, share in guess] for guess in trace.guesses],
    }


def _arrays(trace: RoutingTrace) -> bytes:
    parts = [trace.logits.astype("<f4"), trace.bias.astype("<f4"), trace.weights.astype("<f4")]
    return b"".join(part.tobytes() for part in [*parts, trace.experts.astype("<u2")])


def _settings(trace: RoutingTrace) -> tuple:
    return trace.n_experts, trace.rule, trace.layers


def _same_shape(a: RoutingTrace, b: RoutingTrace) -> bool:
    return (a.layers, a.n_experts) == (b.layers, b.n_experts)


def _check_pair(trace: RoutingTrace, other: RoutingTrace) -> None:
    _check(other, "compare")
    if not _same_shape(trace, other):
        raise ValueError(
            f"compare has {_shape(other)}, but the trace has {_shape(trace)}; "
            "compare traces of the same layers and as many experts"
        )


def _shape(trace: RoutingTrace) -> str:
    layers = ", ".join(map(str, trace.layers))
    return f"{trace.n_experts} experts in layer{'s' * (trace.n_layers > 1)} {layers}"


def _names(a: RoutingTrace, b: RoutingTrace) -> list[str]:
    """What tells two traces apart: their models, or else how their texts begin."""
    if a.model != b.model:
        return [a.model, b.model]
    texts = ["".join(trace.pieces) for trace in (a, b)]
    return [text if len(text) <= 24 else f"{text[:23]}…" for text in (" ".join(text.split()) for text in texts)]


def _check(trace: RoutingTrace, name: str = "trace") -> None:
    if not isinstance(trace, RoutingTrace):
        raise ValueError(f"{name} is a {type(trace).__name__}, but must be a RoutingTrace; see record_routing")
    if trace.n_tokens == 0:
        raise ValueError(f"the {name} has no tokens; route at least one")
    if trace.n_tokens > MOST_TOKENS:
        raise ValueError(
            f"the {name} has {trace.n_tokens:,} tokens, but at most {MOST_TOKENS:,} can be drawn; "
            f"cut it with trace.select(tokens=slice({MOST_TOKENS}))"
        )
    if trace.n_experts > MOST_EXPERTS:
        raise ValueError(
            f"the {name} has {trace.n_experts:,} experts, but at most {MOST_EXPERTS:,} can be drawn; "
            "look at its arrays, such as trace.experts, instead"
        )


def _sentence(error: Exception) -> str:
    """What went wrong in one line; the class's name only where the words alone would not do."""
    words = " ".join(str(error).split())
    plain = isinstance(error, ValueError | OSError) and words
    words = words if plain else f"{type(error).__name__}: {words}" if words else type(error).__name__
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
