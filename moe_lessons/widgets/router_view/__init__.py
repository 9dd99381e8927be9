"""RouterView: where every token goes, in every layer, drawn from one trace and turned with knobs in the browser."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.routing import draw_routing
from moe_lessons.tracing.align import partners
from moe_lessons.tracing.opening import telling_layer, telling_token
from moe_lessons.tracing.rule import Routed
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets.router_view.knobs import FIXED, Turnable, refusing
from moe_lessons.widgets.router_view.layout import SHOWN_AT_ONCE, check_knobs, check_panels
from moe_lessons.widgets.router_view.messages import receive, sentence
from moe_lessons.widgets.router_view.sent import arrays_of, facts_of, reading_of
from moe_lessons.widgets.router_view.traces import check, check_pair, names_of, same_shape, settings_of
from moe_lessons.widgets.shared.view import front_end

Ask = Callable[[str], RoutingTrace]


class RouterView(Turnable):
    """Ribbons from a text's tokens to the bins of their experts, layer by layer, all of one RoutingTrace.

    `ask(text)` gives a RoutingTrace for a text typed into the prompt box; what it raises is shown as one sentence.
    `apply(trace, knobs, layers)` runs the model with knobs turned and gives an Applied; by default `ask.apply`, if
    there is one. `prompts` are texts to choose from, or a mapping from their names. `compare` is a second trace, of the
    same layers and experts: before and after training, or another prompt; then `ask` may be a pair, one for each. All
    knobs are traits: `view.layer = 2` (the layer's number in the model), `view.top_k = 1`; `knobs` names those that are
    seen at once, while the others wait in a drawer, and `panels` what is open below the picture: "layers", "load",
    "scores", "guesses". Raises ValueError for a trace that cannot be drawn, and for names that are not known.
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
    #: The knobs that stand beside the picture; the others wait in a drawer.
    at_hand = traitlets.List(traitlets.Unicode(), list(SHOWN_AT_ONCE)).tag(sync=True)
    #: The panels that are open below the picture.
    panels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    #: Which of two compared traces is shown: 0 or 1.
    side = traitlets.Int(0, min=0, max=1).tag(sync=True)

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
        knobs: Iterable[str] = SHOWN_AT_ONCE,
        panels: Iterable[str] = (),
    ) -> None:
        check(trace)
        self._trace, self._other, self._result = trace, None, None
        self._names = list(names) if names else None
        super().__init__()
        self._asks = ask if isinstance(ask, tuple) else () if ask is None else (ask,)
        self._apply = apply or (getattr(self._asks[0], "apply", None) if self._asks else None)
        if not isinstance(prompts, Mapping):
            prompts = {text: text for text in prompts or ()}
        self.title, self.prompts = title or "", dict(prompts)
        self.at_hand, self.panels = check_knobs(knobs), check_panels(panels)
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
        check(trace)
        old, first = self._trace, self.drawn == 0
        same_router = not first and settings_of(old) == settings_of(trace)
        self._trace, self._result = trace, None
        with self.hold_sync(), self.hold_trait_notifications():
            self.facts, self.arrays = facts_of(trace), arrays_of(trace)
            if not same_router:
                self.reset()
                self.highlight = -1
            self.layer = telling_layer(trace) if first or self.layer not in trace.layers else self.layer
            self.pinned = telling_token(trace, self.layer)
            self.applied, self.applied_logits = {}, b""
            self.message = ""
            self._pair(self._other if self._other is not None and same_shape(trace, self._other) else None)
            self.drawn += 1

    @property
    def compared(self) -> RoutingTrace | None:
        """The trace that the shown one is compared with, or None; ValueError if the two cannot be compared."""
        return self._other

    @compared.setter
    def compared(self, other: RoutingTrace | None) -> None:
        if other is not None:
            check_pair(self._trace, other)
        with self.hold_sync():
            self._pair(other)
            self.drawn += 1

    def _pair(self, other: RoutingTrace | None) -> None:
        self._other = other
        self.other_facts = {} if other is None else facts_of(other)
        self.other_arrays = b"" if other is None else arrays_of(other)
        self.partners = b"" if other is None else partners(self._trace, other).astype("<i4").tobytes()
        self.names = [] if other is None else self._names or names_of(self._trace, other)
        self.side = 0

    # ---- where the tokens go

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
        knobs = replace(self.knobs, **{name: getattr(trace.rule, name) for name in FIXED})
        return trace.routed(knobs, self._layers())

    # ---- what needs the model

    def show(self, text: str) -> None:
        """Ask for the trace of a text, as the prompt box does: a failure becomes one sentence, the picture stays."""
        if not self._asks:
            self.message = "This view has no model to ask; give RouterView a function with ask=."
            return
        with self.hold_sync():
            try:
                answers = [ask(text) for ask in self._asks]
                check(answers[0])
                if len(answers) > 1:
                    check_pair(*answers)
                    self._other = answers[1]
                self.trace = answers[0]
            except Exception as error:
                self.message = sentence(error)
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
                    "before": reading_of(result.before),
                    "after": reading_of(result.after),
                }
                self._result = result
            except Exception as error:
                self.message = sentence(error)
            self.answered += 1

    def _is_applied(self) -> bool:
        return self._other is None and self.moved and self.applied.get("knobs") == self._turned()

    def _receive(self, _: Any, content: Any, buffers: list) -> None:
        receive(self, content)

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
        with refusing():
            if (name, layer) != ("acts_on", -1):
                self._trace.row(layer)
        return layer

    @traitlets.validate("pinned")
    def _known_token(self, proposal: dict) -> int:
        token, n_tokens = proposal["value"], self._trace.n_tokens
        with refusing():
            if not 0 <= token < n_tokens:
                raise ValueError(f"pinned is {token}, but the trace has the tokens 0 to {n_tokens - 1}")
        return token

    @traitlets.validate("highlight")
    def _known_expert(self, proposal: dict) -> int:
        expert, n_experts = proposal["value"], self._trace.n_experts
        with refusing():
            if not -1 <= expert < n_experts:
                raise ValueError(f"highlight is {expert}, but the experts are 0 to {n_experts - 1}, and -1 is none")
        return expert
