"""RouterView: where every token goes, in every layer, drawn from one trace and turned with knobs in the browser."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.routing import draw_routing
from moe_lessons.tracing.rule import SCORE_FUNCTIONS, Routed, check_rule, route
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets.view import View, front_end

MOST_TOKENS = 4096  # what the browser draws without stutter


class RouterView(View):
    """Token strip, layer x token grid, expert load and one token's scores, all of one RoutingTrace.

    `ask(text)` gives a RoutingTrace for a text typed into the prompt box; what it raises is shown as one sentence.
    `prompts` are texts to choose from, or a mapping from their names. All knobs are traits: `view.layer = 2` (the
    layer's number in the model), `view.top_k = 1`. Raises ValueError for a trace that cannot be drawn.
    """

    _esm, _css = front_end(__file__)

    title = traitlets.Unicode("").tag(sync=True)
    prompts = traitlets.Dict().tag(sync=True)
    can_ask = traitlets.Bool(False).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    pinned = traitlets.Int(0).tag(sync=True)
    #: The expert that stays in color while the others fade; -1 for none.
    highlight = traitlets.Int(-1).tag(sync=True)
    top_k = traitlets.Int(1).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    score_function = traitlets.Enum(SCORE_FUNCTIONS, "softmax").tag(sync=True)
    normalize = traitlets.Bool(True).tag(sync=True)
    #: Experts that no token may choose.
    off = traitlets.List(traitlets.Int()).tag(sync=True)

    #: Sizes, settings and text of the trace; its arrays follow as bytes, little-endian.
    facts = traitlets.Dict().tag(sync=True)
    logits = traitlets.Bytes().tag(sync=True)  # float32 [layers, tokens, experts]
    bias = traitlets.Bytes().tag(sync=True)  # float32 [layers, experts]
    experts = traitlets.Bytes().tag(sync=True)  # uint16 [layers, tokens, top_k]
    weights = traitlets.Bytes().tag(sync=True)  # float32 [layers, tokens, top_k]
    #: Counts traces, so that the browser takes a new one up once, when all of its parts are there.
    drawn = traitlets.Int(0).tag(sync=True)
    #: Counts answered prompts, with or without success.
    answered = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        trace: RoutingTrace,
        ask: Callable[[str], RoutingTrace] | None = None,
        prompts: Mapping[str, str] | Iterable[str] | None = None,
        title: str | None = None,
    ) -> None:
        _check(trace)
        self._trace = trace
        super().__init__()
        self._ask = ask
        if not isinstance(prompts, Mapping):
            prompts = {text: text for text in prompts or ()}
        self.title, self.prompts, self.can_ask = title or "", dict(prompts), ask is not None
        self.trace = trace
        self.on_msg(self._receive)

    @property
    def trace(self) -> RoutingTrace:
        """What is shown. Another trace keeps the knobs as far as they fit it; ValueError if it cannot be drawn."""
        return self._trace

    @trace.setter
    def trace(self, trace: RoutingTrace) -> None:
        _check(trace)
        old, first = self._trace, self.drawn == 0
        same_router = not first and _settings(old) == _settings(trace)
        self._trace = trace
        starts = np.flatnonzero(np.diff(trace.sequence)) + 1
        with self.hold_sync(), self.hold_trait_notifications():
            self.facts = {
                "layers": list(trace.layers),
                "tokens": trace.n_tokens,
                "experts": trace.n_experts,
                "pieces": trace.pieces,
                "starts": starts.tolist(),
                "top_k": trace.top_k,
                "score_function": trace.score_function,
                "normalize": trace.normalize,
                "route_scale": trace.route_scale,
                "model": trace.model,
            }
            self.logits = trace.logits.astype("<f4").tobytes()
            self.bias = trace.bias.astype("<f4").tobytes()
            self.experts = trace.experts.astype("<u2").tobytes()
            self.weights = trace.weights.astype("<f4").tobytes()
            if not same_router:
                self.reset()
                self.highlight = -1
            self.layer = self.layer if self.layer in trace.layers else trace.layers[0]
            visible = [token for token, piece in enumerate(trace.pieces) if piece.strip()]
            self.pinned = visible[-1] if visible else trace.n_tokens - 1
            self.message = ""
            self.drawn += 1

    def reset(self) -> None:
        """Turn every knob back to what the model did."""
        trace = self._trace
        with self.hold_sync(), self.hold_trait_notifications():
            self.off = []
            self.top_k, self.temperature = trace.top_k, 1.0
            self.score_function, self.normalize = trace.score_function, trace.normalize

    def show(self, text: str) -> None:
        """Ask for the trace of a text, as the prompt box does: a failure becomes one sentence, the picture stays."""
        if self._ask is None:
            self.message = "This view has no model to ask; give RouterView a function with ask=."
            return
        with self.hold_sync():
            try:
                self.trace = self._ask(text)
            except Exception as error:
                self.message = _sentence(error)
            self.answered += 1

    @property
    def moved(self) -> bool:
        """Whether a knob asks for anything but what the model did."""
        trace = self._trace
        own = (trace.top_k, 1.0, trace.score_function, trace.normalize, [])
        return (self.top_k, self.temperature, self.score_function, self.normalize, self.off) != own

    def routing(self) -> Routed:
        """Weights, experts and scores of every layer as the knobs stand; unmoved, the model's own choices."""
        trace = self._trace
        routed = route(
            trace.logits,
            trace.bias[:, None],
            self.top_k,
            self.score_function,
            self.normalize,
            trace.route_scale,
            self.temperature,
            self.off,
        )
        return routed if self.moved else routed._replace(weights=trace.weights, experts=trace.experts)

    def figure(self) -> Figure:
        """The same picture, still: text, every layer, load and the pinned token's scores."""
        return draw_routing(
            self._trace,
            layer=self.layer,
            pinned=self.pinned,
            routed=self.routing(),
            moved=self.moved,
            highlight=None if self.highlight < 0 else self.highlight,
            title=self.title,
        )

    def describe(self) -> str:
        trace = self._trace
        size = f"{trace.n_tokens} tokens, {trace.n_layers} layers, {trace.n_experts} experts, top {self.top_k}"
        return f"RouterView: {size}" + (" (knobs moved)" if self.moved else "")

    @traitlets.validate("layer")
    def _known_layer(self, proposal: dict) -> int:
        self._trace.row(proposal["value"])
        return proposal["value"]

    @traitlets.validate("pinned")
    def _known_token(self, proposal: dict) -> int:
        token, n_tokens = proposal["value"], self._trace.n_tokens
        if not 0 <= token < n_tokens:
            raise ValueError(f"pinned is {token}, but the trace has the tokens 0 to {n_tokens - 1}")
        return token

    @traitlets.validate("highlight")
    def _known_expert(self, proposal: dict) -> int:
        expert, n_experts = proposal["value"], self._trace.n_experts
        if not -1 <= expert < n_experts:
            raise ValueError(f"highlight is {expert}, but the experts are 0 to {n_experts - 1}, and -1 is none")
        return expert

    @traitlets.validate("top_k", "temperature", "off")
    def _possible(self, proposal: dict) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        knobs = {"top_k": self.top_k, "temperature": self.temperature, "off": self.off} | {name: value}
        check_rule(self._trace.n_experts, knobs["top_k"], self.score_function, knobs["temperature"], knobs["off"])
        return value

    def _receive(self, _: Any, content: dict, buffers: list) -> None:
        if isinstance(content, dict) and isinstance(content.get("ask"), str):
            self.show(content["ask"])


def _settings(trace: RoutingTrace) -> tuple:
    return trace.n_experts, trace.top_k, trace.score_function, trace.normalize, trace.route_scale, trace.layers


def _check(trace: RoutingTrace) -> None:
    if not isinstance(trace, RoutingTrace):
        raise ValueError(f"trace is a {type(trace).__name__}, but must be a RoutingTrace; see record_routing")
    if trace.n_tokens == 0:
        raise ValueError("the trace has no tokens; route at least one")
    if trace.n_tokens > MOST_TOKENS:
        raise ValueError(
            f"the trace has {trace.n_tokens:,} tokens, but at most {MOST_TOKENS:,} can be drawn; "
            f"cut it with trace.select(tokens=slice({MOST_TOKENS}))"
        )


def _sentence(error: Exception) -> str:
    """What went wrong in one line; the class's name only where the words alone would not do."""
    words = " ".join(str(error).split())
    plain = isinstance(error, ValueError | OSError) and words
    words = words if plain else f"{type(error).__name__}: {words}" if words else type(error).__name__
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
