"""`check`: tells a learner in a sentence or two that an attempt is right, or which mistake it makes."""

import contextlib
import dis
import inspect
import io
import signal
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.compare import difference, fault, same, show
from moe_lessons.exercises.exercise import Exercise, Outcome, run
from moe_lessons.exercises.progress import remember

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
    # Notebooks break long lines anywhere, in the middle of a word too.
    print(textwrap.fill(verdict.line, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))


def examine(name: str, attempt: Any) -> Verdict:
    """The verdict on an attempt, without printing or remembering it."""
    exercise = find(name)
    state, text = _judge(exercise, attempt)
    return Verdict(state, f"{name}: {state}{text and '. ' + text if state != 'not attempted yet' else text}")


def _judge(exercise: Exercise, attempt: Any) -> tuple[str, str]:
    if attempt is None or attempt is ...:
        return "not attempted yet", ""
    if not callable(attempt):
        return "not yet", (
            f"Hand over the function itself, without calling it: the attempt is {show(attempt)}, "
            f"but {exercise.signature} was expected."
        )
    refusal = _wrong_signature(exercise, attempt)
    if refusal:
        return "not yet", refusal
    try:
        with _deadline(SECONDS):
            yours = _try(attempt, exercise)
    except _OutOfTime as error:
        return "not yet", (
            f"It did not finish within {SECONDS} seconds and was stopped{_where(error, attempt)}; "
            "does every loop come to an end?"
        )
    if _unattempted(yours[0]):
        bare = yours[0].value is not None or yours[0].error is not None or _is_stub(attempt)
        return "not attempted yet", "" if bare else ": the function returns None; end it with `return ...`"
    expected = exercise.outcomes(exercise.reference)
    wrong = [i for i, (mine, theirs) in enumerate(zip(yours, expected, strict=True)) if not mine.agrees_with(theirs)]
    if not wrong:
        return "correct", exercise.success
    cases = list(range(len(yours)))
    # A second slip, such as 0 / 0 in one case, must not hide a mistake that the other cases show.
    sound = [i for i in cases if yours[i].error is None and not fault(yours[i].value, expected[i].value)]
    telling = [cases] if len(set(sound) & set(wrong)) < 2 else [cases, sound]
    made = {hint: exercise.outcomes(mistake) for hint, mistake in exercise.mistakes.items()}
    for looked_at in telling:
        at = next(i for i in wrong if i in looked_at)
        shown = _illustration(exercise, at, yours[at], expected[at])
        for hint, outcomes in made.items():
            if all(yours[i].agrees_with(outcomes[i]) for i in looked_at):
                return "not yet", f"{hint} {shown}"
    at = wrong[0]
    shown = _illustration(exercise, at, yours[at], expected[at])
    return "not yet", " ".join(part for part in (_generic(exercise, attempt, yours[at], expected[at]), shown) if part)


def _try(attempt: Callable, exercise: Exercise) -> list[Outcome]:
    """The attempt's outcomes; what it prints is shown for the first case only, where the learner looks for it."""
    first, *others = exercise.cases()
    outcomes = [run(attempt, first, exercise.differentiable)]
    with contextlib.redirect_stdout(io.StringIO()):
        outcomes += [run(attempt, case, exercise.differentiable) for case in others]
    return outcomes


def _unattempted(outcome: Outcome) -> bool:
    if outcome.error is not None:  # `total = ...` and then `total / 2` is a gap left open, not a mistake
        return isinstance(outcome.error, NotImplementedError) or "ellipsis" in str(outcome.error)
    parts = outcome.value if isinstance(outcome.value, tuple) else ()
    return outcome.value is None or outcome.value is ... or any(part is ... for part in parts)


def _is_stub(function: Callable) -> bool:
    """Whether a function's body does nothing: only a docstring, `...` or `pass`."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "POP_TOP"}
    return code is not None and all(step.opname in idle for step in dis.get_instructions(code))


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


def _generic(exercise: Exercise, attempt: Callable, yours: Outcome, expected: Outcome) -> str:
    """What can be said without knowing the mistake, the most basic fault first."""
    if yours.error is not None:
        if expected.error is not None:
            kind = type(expected.error).__name__
            return f"This input should be refused with {kind}, but {_crash(yours.error, attempt)}"
        return f"It stops: {_crash(yours.error, attempt)}"
    if expected.error is not None:
        return f"This input should be refused with {type(expected.error).__name__}, but it is accepted."
    if yours.changed is not None:
        name = list(inspect.signature(exercise.reference).parameters)[yours.changed]
        return f"It changes its argument `{name}` in place; work on a copy, so that the caller's data stay as they are."
    if yours.value is None:
        return "It returns None for this input: one way through the function lacks a `return`."
    found = fault(yours.value, expected.value)
    if found:
        return found
    if same(yours.value, expected.value):
        if yours.gradients is None:
            return (
                "The values are right, but no gradient flows back to the inputs: "
                "look for .item(), .detach(), float(...) or torch.no_grad()."
            )
        return "The values are right, but the gradient is not: is a part of the result cut off from the inputs?"
    return ""


def _illustration(exercise: Exercise, at: int, yours: Outcome, expected: Outcome) -> str:
    """`For merge(ids=[1, 1], ...) you have [1], expected [9].`: the first case that fails, in numbers."""
    names = inspect.signature(exercise.reference).parameters
    given = ", ".join(f"{name}={show(value)}" for name, value in zip(names, exercise.cases()[at], strict=False))
    call = f"{exercise.name}({given})"
    values = yours.value, expected.value
    if yours.error is None and expected.error is None and not same(*values):
        if not fault(*values):
            return f"For {call} {difference(*values)}."
        if max(len(show(value)) for value in values) <= 60:
            return f"For {call} you have {show(values[0])}, expected {show(values[1])}."
    return f"This happens for {call}."


_ADVICE = {
    ZeroDivisionError: "what should the result be when there is nothing to divide by?",
    NameError: "a name is misspelled, or the cell that defines it has not run",
    IndexError: "count from 0, and remember that the last index is the length minus 1",
    KeyError: "look at which keys the dictionary has at that point",
    AttributeError: "look at the type of the object before the point",
    RecursionError: "the function calls itself without end",
    TypeError: "look at the types of the values on that line",
    ValueError: "look at the shapes and values on that line",
    RuntimeError: "print the shapes of the tensors on that line",
}


def _crash(error: BaseException, attempt: Callable) -> str:
    """The exception in one sentence, with where it came from and what to look at."""
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    advice = next((words for kind, words in _ADVICE.items() if isinstance(error, kind)), "look at that line")
    if "in-place operation" in text or "in-place arithmetic" in text:
        advice = "the line changes one of the arguments; make a new tensor instead"
    if isinstance(error, UnboundLocalError):
        advice = "the name is used before it has a value on this way through the function"
    return f"{type(error).__name__}{_where(error, attempt)}: {text}; {advice}."


def _where(error: BaseException, attempt: Callable) -> str:
    """The deepest line of the learner's own code that the exception passed through."""
    code = getattr(inspect.unwrap(attempt), "__code__", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    if not frames:
        return ""
    line = (frames[-1].line or "").strip()
    return f" in line {frames[-1].lineno} of your code" + (f" (`{line}`)" if line else "")


class _OutOfTime(BaseException):
    """Not an Exception, so that a learner's `except Exception` cannot swallow it."""


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Stop the block after so many seconds, where the platform and the thread allow it; elsewhere do nothing."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
