"""One of transformers' routers with the attributes of our Router, heard where its experts are called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.model.router import Router, Routing
from moe_lessons.routing_rule import FollowsRule, RoutingRule
from moe_lessons.tracing.learned_rule import ENOUGH, Evidence, Learned, fits, learn
from moe_lessons.tracing.mixtures import Mixture
from moe_lessons.tracing.reading import Call, Heard, Reading, learn_reading, tensors_of
from moe_lessons.tracing.rehearsal import REHEARSING, Handles, rehearse

_SAID = "said_by_moe_lessons"  # what a table of experts that somebody changed remembers: the Routing that was meant


@dataclass
class _Known:
    """What has been learned of one mixture, by whoever listened first."""

    reading: Reading | None = None
    seen: Evidence | None = None
    learned: Learned | None = None


# Of experts as long as they live, so that each model is learned once and nothing is left on it.
_KNOWN: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


class ForeignRouter(FollowsRule):
    """The routing of one layer of somebody else's model; its hooks hear and say a Routing.

    How it is read and which rule it follows is learned from the first pass, or from a rehearsal where somebody asks
    before. Both are held to every later pass.
    """

    preference = Router.preference

    def __init__(self, model: nn.Module, mixture: Mixture) -> None:
        self.model, self.mixture = model, mixture
        self._known = _KNOWN.setdefault(mixture.experts, _Known())
        self._fresh = True  # nothing heard yet, so settings may be others than those that are known
        self._changed = False  # somebody else's experts were heard in place of the router's

    @property
    def module(self) -> nn.Module:
        """Their router itself."""
        return self._reading().router

    @property
    def n_experts(self) -> int:
        """Between how many it chooses."""
        return self._reading().n_experts

    @property
    def weight(self) -> Float[Tensor, "experts dim"]:
        """The matrix that makes logits of tokens; of no width where there is none with a row for each expert."""
        parts = (part for part in self.module.parameters() if part.ndim == 2 and len(part) == self.n_experts)
        return next(parts, torch.empty(self.n_experts, 0))

    @property
    def known_rule(self) -> RoutingRule | None:
        """The rule that explains every choice and weight heard so far; None where none of the course's does."""
        self._reading()
        return self._known.learned and self._known.learned.rule

    @property
    def rule(self) -> RoutingRule:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The same, but ValueError where no rule is known, since then nothing can be said of other choices."""
        if (rule := self.known_rule) is None:
            raise ValueError(
                f"{type(self.module).__name__} follows no rule that tracing knows; its routing can be recorded, and "
                "replaced by weights of your own through steer_routing, but not knocked out"
            )
        return rule

    @property
    def expert_bias(self) -> Float[Tensor, " experts"] | None:
        """What is added to the scores for the choice alone."""
        self._reading()
        learned = self._known.learned
        return None if learned is None or learned.bias is None else self._biases()[learned.bias].detach().flatten()

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False) -> Handles:
        """As nn.Module's, called with a Routing as its experts are; what `hook` leaves as it is stays bit-identical.

        Raises ValueError, inside the pass, where this layer cannot be read.
        """
        heard: Heard = []

        def listen(module: nn.Module, inputs: tuple, output: Any) -> None:
            heard.append((module, tensors_of(output)))

        def translated(module: nn.Module, inputs: tuple, named: dict[str, Any]) -> tuple[tuple, dict] | None:
            call = Call(inputs, named)
            routing = self._hear(call, heard)
            heard.clear()
            changed = routing if REHEARSING.get() else hook(self, inputs, routing)
            if changed is None or changed is routing:
                return None
            said = self._say(call, changed)
            return said.inputs, said.named

        handles = [module.register_forward_hook(listen) for module in self._candidates()]
        experts = self.mixture.experts
        return Handles([*handles, experts.register_forward_pre_hook(translated, with_kwargs=True, prepend=prepend)])

    def understand(self, output: tuple[Tensor, ...]) -> Routing:
        """What the router returned, as a Routing in float32, best expert first.

        Raises ValueError for another kind of answer than the one that its experts are called with.
        """
        reading, answers = self._reading(), tensors_of(output)
        if reading.said is None or len(answers) <= max(reading.logits, *reading.said):
            raise ValueError(
                f"{type(self.module).__name__} does not return logits, weights and experts in this answer; "
                "record the model with record_routing, which hears its experts"
            )
        experts, weights = (answers[at] for at in reading.said)
        return self._ordered(answers[reading.logits], experts, weights)

    def _candidates(self) -> list[nn.Module]:
        reading, around = self._known.reading, self.mixture.around
        if reading and any(reading.router is module for module in around):
            return [reading.router]
        self._known.reading = None
        return list({id(module): module for module in around}.values())

    def _reading(self) -> Reading:
        if self._known.reading is None:
            rehearse(self.model, [self])
        if self._known.reading is None:
            raise ValueError(f"the experts of layer {self.mixture.layer} were not called; use a model that runs them")
        return self._known.reading

    def _hear(self, call: Call, heard: Heard) -> Routing:
        """The routing that the experts are called with."""
        known = self._known
        try:
            if known.reading is None or not known.reading.suits(call):
                known.reading = learn_reading(self.mixture, call, heard)
        except ValueError as error:
            raise ValueError(
                f"the routing of layer {self.mixture.layer} cannot be read: {error}; use a model that tracing can prove"
            ) from None
        reading = known.reading
        tensors = call.tensors()
        chosen, weights = tensors[reading.experts], tensors[reading.weights]
        if said := getattr(chosen, _SAID, None):
            self._changed = True
            return said
        answers = next((answers for module, answers in reversed(heard) if module is reading.router), None)
        if answers is None:
            raise ValueError(f"the router of layer {self.mixture.layer} was not asked in a pass; load the whole model")
        logits = answers[reading.logits].reshape(-1, reading.n_experts)
        self._hold_rule(Evidence.of(self._as_logits(logits), chosen, weights))
        return self._ordered(logits, chosen, weights)

    def _hold_rule(self, seen: Evidence) -> None:
        """Keep the rule that explains this too, or learn another one."""
        known, biases = self._known, self._biases()
        before, fresh, self._fresh = known.seen, self._fresh, False
        if before is None or len(before.logits) < len(seen.logits):
            known.seen = seen
        if known.learned is not None and fits(known.learned, seen, biases):
            return
        # What had no rule before has none now, unless it was too little, or somebody has changed settings since.
        if known.learned is not None or before is None or fresh or len(before.logits) < ENOUGH:
            both = seen if before is None else seen.joined(before)
            known.learned = learn(both, biases) or (learn(seen, biases) if fresh else None)

    def explains(self, logits: Tensor, experts: Tensor, weights: Tensor) -> bool:
        """Whether the known rule explains all of what was heard; True of what somebody else chose."""
        known = self._known
        if self._changed or known.learned is None or known.seen is None:
            return known.learned is not None
        return fits(known.learned, Evidence(logits, experts, weights, known.seen.error), self._biases())

    def _as_logits(self, said: Tensor) -> Tensor:
        reading = self._known.reading
        return said.clamp(min=1e-37).log() if reading and reading.probabilities else said

    def _ordered(self, said: Tensor, experts: Tensor, weights: Tensor) -> Routing:
        """The same in float32, best expert first: nobody promises an order."""
        logits = self._as_logits(said.float())
        rule = self._known.learned and self._known.learned.rule
        scores = rule.scores(logits) if rule else logits
        liked = weights.detach().float()
        if rule:
            bias = self.expert_bias
            wanted = scores.detach() if bias is None else scores.detach() + bias.float()
            liked = wanted.gather(1, experts)
        order = liked.sort(dim=-1, descending=True, stable=True).indices
        return Routing(weights.float().gather(1, order), experts.gather(1, order), scores, logits)

    def _say(self, call: Call, changed: Routing) -> Call:
        reading, tensors = self._reading(), call.tensors()
        experts = changed.experts.to(tensors[reading.experts].dtype).clone()
        setattr(experts, _SAID, changed)
        weights = changed.weights.to(tensors[reading.weights].dtype)
        return call.with_({reading.experts: experts, reading.weights: weights})

    def _biases(self) -> dict[str, Tensor]:
        """Tensors of the block with one number for each expert, but for those that logits already have in them."""
        block, reading = self.mixture.block, self._known.reading
        parts = {**dict(block.named_parameters()), **dict(block.named_buffers())}
        return {
            name: part
            for name, part in parts.items()
            if reading and part.numel() == reading.n_experts and name.rpartition(".")[2] != "bias"
        }

    def __repr__(self) -> str:
        rule, name = self.known_rule, type(self.module).__name__
        if rule is None:
            return f"<{name}: some of {self.n_experts}, by a rule of its own>"
        extras = [
            "normalized" if rule.normalize else "not normalized",
            f"times {rule.route_scale:g}" if rule.route_scale != 1 else "",
            f"within {rule.top_groups} of {rule.n_groups} groups" if rule.n_groups > 1 else "",
            "with a bias for the choice" if self.expert_bias is not None else "",
        ]
        said = ", ".join(filter(None, extras))
        return f"<{name}: top {rule.top_k} of {self.n_experts}, {rule.score_function}, {said}>"
