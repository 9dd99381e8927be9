"""What an exercise is: a reference, inputs to try it on, and wrong implementations that each know their own hint.

The idea behind every hint: a mistake is recognized by making it. Each known mistake is written down as a working
(wrong) function; when the learner's function agrees with it on every input, the mistake is the same one.
"""

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from moe_lessons.exercises.compare import is_float_tensor, same

Inputs = Callable[[np.random.Generator], Iterable[tuple]]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One small function for the learner to write."""

    name: str
    task: str  # two sentences: what goes in and comes out, and the rule that decides
    reference: Callable  # the package's own function wherever it has one
    inputs: Inputs  # seeded generator -> argument tuples, the simplest first: it is the one a hint shows
    mistakes: Mapping[str, Callable] = field(default_factory=dict)  # hint -> the wrong function it belongs to
    success: str  # one sentence on what the learner has just built
    difficulty: int = 1  # 1 to 3
    minutes: int = 5
    differentiable: bool = False  # gradients must be right too
    sources: tuple[str, ...] = ()  # dotted names in the package that `solution` shows after the reference

    @property
    def signature(self) -> str:
        """The head of the function to write, such as `merge(ids: list[int], ...) -> list[int]`."""
        # Types by their own names, without the modules they come from.
        return self.name + re.sub(r"\b(?:[a-z_]+\.)+(?=\w)", "", str(inspect.signature(self.reference)))

    def cases(self) -> list[tuple]:
        """Fresh argument tuples, the same at every call."""
        return list(self.inputs(np.random.default_rng(0)))

    def outcomes(self, function: Callable) -> list["Outcome"]:
        """What a function makes of every case."""
        return [run(function, case, self.differentiable) for case in self.cases()]


class Outcome(NamedTuple):
    """What came of one call: a value, perhaps with gradients, or an exception."""

    value: Any = None
    gradients: tuple | None = None  # of a fixed mixture of the outputs, for each floating-point argument
    error: BaseException | None = None
    changed: int | None = None  # position of an argument that the call modified in place
    gradient_error: BaseException | None = None  # there is a value, but going back from it fails

    def agrees_with(self, other: "Outcome") -> bool:
        """The same value and gradients, or the same kind of exception."""
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        if self.gradient_error is not None or other.gradient_error is not None:
            return False
        if self.changed != other.changed or (self.gradients is None) != (other.gradients is None):
            return False
        return same(self.value, other.value) and (self.gradients is None or same(self.gradients, other.gradients))


def run(function: Callable, arguments: tuple, differentiable: bool = False) -> Outcome:
    """Call a function on copies of the arguments and note all that matters for a check; its exceptions are caught."""
    given = copy.deepcopy(arguments)
    leaves = [argument.requires_grad_() for argument in given if is_float_tensor(argument)] if differentiable else []
    try:
        value = function(*given)
    except (Exception, SystemExit) as error:
        if differentiable and re.search("leaf Variable that requires grad .*in-place", str(error)):
            # Only torch forbids it; without gradients the call shows its value, and which argument it changes.
            return run(function, arguments)._replace(gradient_error=error)
        return Outcome(error=error)
    try:
        gradients, failure = _gradients(value, leaves), None
    except Exception as error:
        gradients, failure = None, error
    changed = (i for i, (before, after) in enumerate(zip(arguments, given, strict=True)) if not same(after, before))
    return Outcome(value=value, gradients=gradients, changed=next(changed, None), gradient_error=failure)


def _gradients(value: Any, leaves: list) -> tuple | None:
    """Gradients of a weighted sum of the floating-point outputs: unequal weights, so that no error cancels out."""
    outputs = [part for part in (value if isinstance(value, (list, tuple)) else (value,)) if is_float_tensor(part)]
    outputs = [part for part in outputs if part.requires_grad]
    if not leaves or not outputs:
        return None
    import torch

    first, *others = ((part * torch.linspace(0.5, 1.5, part.numel()).view_as(part)).sum() for part in outputs)
    found = torch.autograd.grad(sum(others, start=first), leaves, allow_unused=True)
    return tuple(
        torch.zeros_like(leaf) if gradient is None else gradient for leaf, gradient in zip(leaves, found, strict=True)
    )
