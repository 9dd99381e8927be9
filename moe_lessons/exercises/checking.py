"""`check`: tells a learner in a sentence or two that an attempt is right, or which mistake it makes."""

import contextlib
import dis
import inspect
import io
import re
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.compare import alike, array, difference, fault, is_array, reshaped, same, show
from moe_lessons.exercises.crashes import advice, crash, where
from moe_lessons.exercises.deadline import OutOfTime, deadline
from moe_lessons.exercises.exercise import Exercise, Outcome, run
from moe_lessons.exercises.patterns import pattern
from moe_lessons.exercises.progress import remember
from moe_lessons.languages.words import later, translate
from moe_lessons.outbox import tell

SECONDS = 10  # an attempt that takes longer than this on our small inputs has a loop without end


class Verdict(NamedTuple):
    """What `check` found: the state, and what it prints, in one line."""

    state: str  # "not attempted yet", "not yet" or "correct"
    line: str


def check(name: str, attempt: Any = None) -> None:
    """Try an attempt on many inputs and print what came of it: not attempted yet, not yet with a hint, or correct.

    Raises ValueError only for a name that no exercise has.
    """
    verdict = examine(name, attempt)
    if verdict.state == "correct":
        remember(name)
    if verdict.state != "not attempted yet":
        tell("check", exercise=name, passed=int(verdict.state == "correct"), mistake=_known_mistake(name, verdict))
    # Notebooks break long lines anywhere, in the middle of a word too.
    print(textwrap.fill(verdict.line, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))


def examine(name: str, attempt: Any) -> Verdict:
    """The verdict on an attempt, without printing or remembering it."""
    exercise = find(name)
    state, text = _judge(exercise, attempt)
    text = text.replace(" of shape ", f" {translate('of shape')} ")
    return Verdict(state, f"{name}: {translate(state)}{text and '. ' + text if state != 'not attempted yet' else text}")


def _known_mistake(name: str, verdict: Verdict) -> int:
    """The place, among the exercise's known mistakes, of the one that a verdict names; -1 for none."""
    hints = map(translate, find(name).mistakes)
    named = [(len(hint), at) for at, hint in enumerate(hints) if hint and hint in verdict.line]
    return max(named)[1] if named and verdict.state != "correct" else -1


def _judge(exercise: Exercise, attempt: Any) -> tuple[str, str]:
    if attempt is None or attempt is ...:
        return later("not attempted yet"), ""
    if not callable(attempt):
        return "not yet", (
            f"Hand over the function itself, without calling it: the attempt is {show(attempt)}, "
            f"but {exercise.signature} was expected."
        )
    refusal = _wrong_signature(exercise, attempt)
    if refusal:
        return "not yet", refusal
    try:
        with deadline(SECONDS):
            yours = _try(attempt, exercise)
    except OutOfTime as error:
        return "not yet", (
            f"It did not finish within {SECONDS} seconds and was stopped{where(error, attempt)}; "
            "does every loop come to an end?"
        )
    if _is_gap(yours[0]) or _is_stub(attempt):
        return "not attempted yet", ""
    if all(outcome.error is None and outcome.value is None for outcome in yours):
        return later("not yet"), translate("The function returns None; end it with `return ...`.")
    expected = exercise.outcomes(exercise.reference)
    wrong = [i for i, (mine, theirs) in enumerate(zip(yours, expected, strict=True)) if not mine.agrees_with(theirs)]
    if not wrong:
        return later("correct"), translate(exercise.success)
    text, at = _mistake(exercise, yours, expected, wrong) or ("", _telling(yours, expected, wrong))
    text = translate(text) or _in_common(exercise, yours, expected)
    if text:
        shown = _illustration(exercise, at, yours[at], expected[at])
        # Numbers that cannot be followed by hand add nothing to a sentence that names the mistake.
        return "not yet", text if " of shape " in shown or not shown else f"{text} {shown}"
    changed = next((outcome.changed for outcome in yours if outcome.changed is not None), None)
    if changed is not None:
        name = list(inspect.signature(exercise.reference).parameters)[changed]
        return "not yet", (
            f"It changes its argument `{name}` in place; make a new one, so that the caller's data stay as they are."
        )
    return "not yet", _generic(exercise, attempt, at, yours[at], expected[at])


def _mistake(
    exercise: Exercise, yours: list[Outcome], expected: list[Outcome], wrong: list[int]
) -> tuple[str, int] | None:
    """The hint of the known mistake that does the same, and the case that shows it."""
    made = {hint: exercise.outcomes(mistake) for hint, mistake in exercise.mistakes.items()}
    cases = list(range(len(yours)))
    # A second slip, such as 0 / 0 in one case, must not hide a mistake that the other cases show.
    sound = [i for i in cases if yours[i].error is None and not fault(yours[i].value, expected[i].value)]
    telling = [cases] if len(set(sound) & set(wrong)) < 2 else [cases, sound]
    for looked_at in telling:
        for hint, outcomes in made.items():
            if all(yours[i].agrees_with(outcomes[i]) for i in looked_at):
                return hint, next(i for i in wrong if i in looked_at)
    # A wrong dtype, a list in place of a tensor or a lost gradient must not hide it either.
    off = [i for i in cases if yours[i].error is None and not alike(yours[i].value, expected[i].value)]
    if off and all(outcome.error is None for outcome in yours):
        for hint, outcomes in made.items():
            if all(
                mine.error is None and alike(it.value, mine.value) for it, mine in zip(yours, outcomes, strict=True)
            ):
                return hint, off[0]
    return None


def _telling(yours: list[Outcome], expected: list[Outcome], wrong: list[int]) -> int:
    """The first case with wrong numbers; only where all are right do shapes, gradients and side effects count."""
    for equal in (reshaped, alike):
        for i in wrong:
            if yours[i].error or expected[i].error or not equal(yours[i].value, expected[i].value):
                return i
    return wrong[0]


def _in_common(exercise: Exercise, yours: list[Outcome], expected: list[Outcome]) -> str:
    """What all results have in common with the expected ones."""
    if any(outcome.error is not None or outcome.changed is not None for outcome in (*yours, *expected)):
        return ""
    if all(alike(mine.value, theirs.value) for mine, theirs in zip(yours, expected, strict=True)):
        return ""
    names = list(inspect.signature(exercise.reference).parameters)
    arguments = [dict(zip(names, case, strict=True)) for case in exercise.cases()]
    return pattern([outcome.value for outcome in yours], [outcome.value for outcome in expected], arguments)


def _try(attempt: Callable, exercise: Exercise) -> list[Outcome]:
    """The attempt's outcomes; what it prints is shown for the first case only, where the learner looks for it."""
    first, *others = exercise.cases()
    outcomes = [run(attempt, first, exercise.differentiable)]
    with contextlib.redirect_stdout(io.StringIO()):
        outcomes += [run(attempt, case, exercise.differentiable) for case in others]
    return outcomes


def _is_gap(outcome: Outcome) -> bool:
    """Whether a `...` is still to be filled in: `total = ...` and then `total / 2` is a gap, not a mistake."""
    if outcome.error is not None:
        return isinstance(outcome.error, TypeError) and re.search(r"\bellipsis\b", str(outcome.error)) is not None
    parts = outcome.value if isinstance(outcome.value, tuple) else ()
    return outcome.value is ... or any(part is ... for part in parts)


def _is_stub(function: Callable) -> bool:
    """Whether a function's body does nothing: a docstring, `...`, `pass`, a bare return, `raise NotImplementedError`.

    torch raises NotImplementedError too, so the error alone does not tell.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or set(code.co_names) - {"NotImplementedError"}:
        return False
    steps = {step.opname for step in dis.get_instructions(code)}
    returned = [constant for constant in code.co_consts if constant not in (None, ...) and not _is_doc(code, constant)]
    raises = "RAISE_VARARGS" in steps
    return steps <= _IDLE | _RAISING and (raises or not returned)


_IDLE = {
    "RESUME",
    "NOP",
    "CACHE",
    "LOAD_CONST",
    "RETURN_VALUE",
    "RETURN_CONST",
    "POP_TOP",
    "COPY_FREE_VARS",
    "MAKE_CELL",
}
_RAISING = {"LOAD_GLOBAL", "LOAD_COMMON_CONSTANT", "PUSH_NULL", "PRECALL", "CALL", "RAISE_VARARGS"}


def _is_doc(code: Any, constant: Any) -> bool:
    return isinstance(constant, str) and code.co_consts[0] == constant


def _wrong_signature(exercise: Exercise, attempt: Callable) -> str:
    arguments = exercise.cases()[0]
    try:
        signature = inspect.signature(attempt)
    except (TypeError, ValueError):  # some built-in functions do not tell
        return ""
    try:
        signature.bind(*arguments)
    except TypeError:
        return f"The attempt takes {signature}, but it is called as {exercise.signature}."
    return ""


def _generic(exercise: Exercise, attempt: Callable, at: int, yours: Outcome, expected: Outcome) -> str:
    """What can be said without knowing the mistake, the most basic fault first."""
    given = _given(exercise, at)
    if isinstance(yours.error, SystemExit):
        return f"It calls exit(){where(yours.error, attempt)}, which would end the notebook; return the result instead."
    if yours.error is not None:
        if expected.error is not None:
            kind = type(expected.error).__name__
            return f"{given} should be refused with {kind}, but: {crash(yours.error, attempt)}"
        # What fails at once fails everywhere, so the case need not be named.
        return f"It stops{f' {given[0].lower()}{given[1:]}' if at else ''}: {crash(yours.error, attempt)}"
    if expected.error is not None:
        return f"{given} should be refused with {type(expected.error).__name__}, but is accepted."
    if yours.value is None:
        return f"{given} it returns None: one way through the function lacks a `return`."
    found = fault(yours.value, expected.value)
    if found:
        right = reshaped(yours.value, expected.value) or "is what was expected" in found or "That is item" in found
        shown = _illustration(exercise, at, yours, expected)
        return found if right or " of shape " in shown else f"{found} {shown}".rstrip()
    if same(yours.value, expected.value):
        words = _gradient_fault(exercise, at, yours, expected)
        return f"The values are right, but {words}{'' if words[-1] == '?' else '.'}"
    return _illustration(exercise, at, yours, expected)


def _gradient_fault(exercise: Exercise, at: int, yours: Outcome, expected: Outcome) -> str:
    """What is wrong with the gradient where the values are right."""
    if yours.gradient_error is not None:
        text = str(yours.gradient_error).splitlines()[0]
        short = text if len(text) <= 90 else f"{text[:86]} ..."
        return f"the way back fails ({short}); {advice(yours.gradient_error)}"
    if yours.gradients is None or expected.gradients is None:  # the reference has some wherever this is asked
        return "no gradient flows back to the inputs: look for .item(), .detach(), float(...) or torch.no_grad()"
    names = list(inspect.signature(exercise.reference).parameters)
    floats = [name for name, value in zip(names, exercise.cases()[at], strict=True) if _is_float(value)]
    for name, mine, theirs in zip(floats, yours.gradients, expected.gradients, strict=True):
        if not same(mine, theirs):
            if not array(theirs).any():
                return f"a gradient reaches `{name}`, which has none: it should only choose"
            if not array(mine).any():
                return f"no gradient reaches `{name}`: look for .detach(), .item() or torch.no_grad() on its way"
            return f"a part of the gradient of `{name}` is missing or wrong: is a factor with it detached?"
    return "the gradient is not"


def _is_float(value: Any) -> bool:
    return is_array(value) and hasattr(value, "requires_grad") and value.is_floating_point()


def _illustration(exercise: Exercise, at: int, yours: Outcome, expected: Outcome) -> str:
    """`For ids=[1, 1], pair=(1, 1) you have [1], expected [9].`: the first case that fails, in numbers."""
    values = yours.value, expected.value
    if yours.error is not None or expected.error is not None or yours.value is None or alike(*values):
        return ""
    given = _given(exercise, at)
    if not fault(*values):
        return f"{given} {difference(*values)}."
    texts = [show(value) for value in values]
    if texts[0] == texts[1] or max(map(len, texts)) > 40 or any("shape [" in text for text in texts):
        return ""
    return translate("{given} you have {yours}, expected {right}.", given=given, yours=texts[0], right=texts[1])


def _given(exercise: Exercise, at: int) -> str:
    """`For logits of shape [3, 4], top_k=2`: numbers as long as they can be followed by hand, shapes otherwise."""
    names = inspect.signature(exercise.reference).parameters
    arguments = dict(zip(names, exercise.cases()[at], strict=False))
    several = sum(is_array(value) and value.ndim > 0 for value in arguments.values()) > 1
    parts = []
    for name, value in arguments.items():
        text = show(value, 40)
        if is_array(value) and value.ndim and (several or len(text) > 40 or text.startswith("shape")):
            of = "" if any(" of shape " in part for part in parts) else "of shape "
            parts.append(f"{name} {of}{list(value.shape)}")
        elif hasattr(value, "_fields"):  # tensors that belong together
            parts.append(f"{name}={type(value).__name__}(...)")
        else:
            parts.append(f"{name}={text}")
    return translate("For {parts}", parts=", ".join(parts))
