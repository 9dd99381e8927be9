"""How the routing of one mixture is read: which of its experts' arguments are numbers and weights, who said the logits.

Learned from one call and proved on it: the experts, asked one at a time, must add up to what they give together.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from moe_lessons.tracing.learned_rule import Evidence, learn
from moe_lessons.tracing.mixtures import Mixture

Place = int | str  # of an argument: its position, or its name
Heard = list[tuple[nn.Module, list[Tensor]]]  # who answered what, in the order of their answers
_PROOF = 4  # tokens that the experts are asked about one at a time


class Call(NamedTuple):
    """What a module was called with."""

    inputs: tuple[Any, ...]
    named: dict[str, Any]

    def tensors(self) -> dict[Place, Tensor]:
        """Its arguments that are tensors."""
        every: dict[Place, Any] = {**dict(enumerate(self.inputs)), **self.named}
        return {place: each for place, each in every.items() if isinstance(each, Tensor)}

    def with_(self, changes: dict[Place, Tensor]) -> "Call":
        """The same call with other arguments at these places."""
        inputs = tuple(changes.get(place, each) for place, each in enumerate(self.inputs))
        return Call(inputs, {name: changes.get(name, each) for name, each in self.named.items()})


class Reading(NamedTuple):
    """Where the parts of a mixture's routing are found."""

    tokens: Place
    experts: Place
    weights: Place
    router: nn.Module
    logits: int  # which of the router's tensors
    said: tuple[int, int] | None  # which of them are experts and weights; None where the block makes these
    n_experts: int
    probabilities: bool  # the router says the softmax in place of the logits

    def suits(self, call: Call) -> bool:
        """Whether a call has a table of experts and one of weights where this says."""
        tensors = call.tensors()
        experts, weights = tensors.get(self.experts), tensors.get(self.weights)
        return experts is not None and weights is not None and experts.ndim == 2 and experts.shape == weights.shape


def tensors_of(answer: Any) -> list[Tensor]:
    """The tensors of a module's answer, in their order."""
    parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, (tuple, list)) else (answer,)
    return [part for part in parts if isinstance(part, Tensor)]


def learn_reading(mixture: Mixture, call: Call, heard: Heard) -> Reading:
    """How this call of a mixture's experts is read, given what the modules around them had answered before.

    Raises ValueError, with the reason, where there is more than one way to read it, or none that can be proved.
    """
    name = type(mixture.experts).__name__
    tensors = call.tensors()
    tables = {place: each for place, each in tensors.items() if not each.is_floating_point() and each.ndim == 2}
    if len(tables) != 1:
        raise ValueError(f"{name} is given no table of each token's experts, [tokens, top_k], but something else")
    ((experts, chosen),) = tables.items()
    alike = [place for place, each in tensors.items() if each.is_floating_point() and each.shape == chosen.shape]
    rest = [
        place
        for place, each in tensors.items()
        if each.is_floating_point() and place not in alike and each.numel() == len(chosen) * each.shape[-1]
    ]
    if len(alike) != 1:
        raise ValueError(f"{name} is given {len(alike)} tables of weights for one of experts, and must be given one")
    if len(rest) != 1:
        raise ValueError(f"{name} is given {len(rest)} tensors that may be the tokens, and must be given one")
    if (chosen.sort(dim=1).values.diff(dim=1) == 0).any():
        raise ValueError(f"{name} is given an expert twice for one token, so the table is none of choices")
    router, logits, said = _router(name, chosen, tensors[alike[0]], heard)
    answers = next(answers for module, answers in reversed(heard) if module is router)
    n_experts = answers[logits].shape[-1]
    stacked = {len(each) for each in mixture.experts.parameters() if each.ndim >= 3}
    if stacked and n_experts not in stacked:
        raise ValueError(f"{type(router).__name__} scores {n_experts} choices, but {name} has {max(stacked)} experts")
    reading = Reading(
        rest[0], experts, alike[0], router, logits, said, n_experts, _sums_to_one(answers[logits].detach())
    )
    _prove(mixture.experts, reading, call)
    return reading


def _router(name: str, chosen: Tensor, weights: Tensor, heard: Heard) -> tuple[nn.Module, int, tuple[int, int] | None]:
    """Who said the logits, and which of its tensors they are; then where it said experts and weights."""
    for module, answers in reversed(heard):
        numbers = [at for at, each in enumerate(answers) if _same(each, chosen)]
        shares = [at for at, each in enumerate(answers) if _same(each, weights)]
        scores = _scores(answers, chosen, weights)
        if numbers and shares and scores:
            return module, scores[0], (numbers[0], shares[0])
    # Nobody said them, so the block chose by itself: only a rule can tell by whose logits.
    for module, answers in reversed(heard):
        for at in _scores(answers, chosen, weights):
            if learn(Evidence.of(answers[at].flatten(0, -2), chosen, weights), {}):
                return module, at, None
    raise ValueError(f"no module beside {name} answers with the experts that it is given, nor with logits they follow")


def _scores(answers: list[Tensor], chosen: Tensor, weights: Tensor) -> list[int]:
    if not chosen.numel():
        return []
    least, rows = int(chosen.max()) + 1, len(chosen)
    return [
        at
        for at, each in enumerate(answers)
        if each.is_floating_point()
        and each.ndim >= 2
        and each.shape[-1] >= max(least, 2)
        and each.numel() == rows * each.shape[-1]
        and not _same(each, weights)
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether these are the same numbers, perhaps in another shape."""
    if one is other:
        return True
    return one.dtype == other.dtype and one.numel() == other.numel() and torch.equal(one.flatten(), other.flatten())


def _sums_to_one(scores: Tensor) -> bool:
    rows = scores.float()
    return bool((rows >= 0).all()) and bool(((rows.sum(dim=-1) - 1).abs() < 1e-2).all())


@torch.no_grad()
def _prove(experts: nn.Module, reading: Reading, call: Call) -> None:
    """Raise ValueError unless some tokens' experts, asked one at a time and weighed by hand, give what all do."""
    tensors = call.tensors()
    tokens, chosen, weights = (tensors[place] for place in (reading.tokens, reading.experts, reading.weights))
    few = torch.linspace(0, len(chosen) - 1, min(_PROOF, len(chosen)), device=chosen.device).round().long()
    some = tokens.detach().reshape(-1, tokens.shape[-1])[few]
    some = some.reshape((1,) * (tokens.ndim - 2) + some.shape)

    def asked(which: Tensor, weighed: Tensor) -> Tensor:
        changes = {reading.tokens: some, reading.experts: which, reading.weights: weighed}
        # The forward itself: nobody who listens to the module hears this.
        answer = experts.forward(*(again := call.with_(changes)).inputs, **again.named)
        if not isinstance(answer, Tensor):
            raise ValueError(f"{type(experts).__name__} answers with something other than one tensor")
        return answer.reshape(len(few), -1).float()

    together, by_hand = asked(chosen[few], weights[few]), torch.zeros(())
    # One expert in every place, all of them but one without weight: not all code can do with fewer places.
    first = torch.zeros_like(weights[few])
    first[:, 0] = 1
    for rank in range(chosen.shape[1]):
        one = asked(chosen[few, rank, None].repeat(1, chosen.shape[1]), first)
        by_hand = by_hand.to(one.device) + one * weights[few, rank, None].float()
    error = 16 * chosen.shape[1] * torch.finfo(tokens.dtype).eps
    if (together - by_hand).abs().max() > error * (by_hand.abs().max() + 1e-6):
        raise ValueError(f"the experts of {type(experts).__name__}, weighed by hand, do not add up to what it answers")
