"""An exception of the learner's code in one sentence: what it says, where it came from, and what to look at.

Advice follows the text, which tells what happened, before the type, which tells little: torch raises RuntimeError for
nearly everything.
"""

import inspect
import re
from collections.abc import Callable

from moe_lessons.blame import cut, deepest_line

_BY_TEXT = (
    ("modified by an inplace operation", "a tensor that the gradient needs is overwritten; write into a new one"),
    ("in-place|inplace", "the line changes one of the arguments; make a new tensor instead"),
    ("shapes cannot be multiplied|size for first two dim|size mismatch, got input|inconsistent tensor size",
     "the last axis of the first must be as long as the first of the second; is one to be transposed (.mT)?"),
    ("must match the size of tensor|must match the existing size|could not be broadcast",
     "axes must be equally long, or 1; is a `keepdim=True` or a `[:, None]` missing?"),
    ("shape of the mask", "a mask needs the very axes that it stands for; put it behind the others, as in x[:, mask]"),
    ("is invalid for input of size", "the sizes of the new shape must multiply to the number of entries"),
    ("not compatible with input tensor's stride|view size is not", "use .reshape in place of .view"),
    ("could not infer output dtype|must be either a floating point|only supports floating-point|"
     "implemented for '(Long|Int|Bool|Byte|Short|Char)'",
     "whole numbers and truth values have none of that; call .float() first"),
    ("for 'Float8|Float8_e", "float8 can be kept but hardly be computed with; call .float() first"),
    ("integral inputs|implemented for '(Float|Double|Half|BFloat16)'", "it wants whole numbers (.long()) on one axis"),
    ("ubtraction, the `-`|Negation, the `-`", "for truth values `not` is written ~mask"),
    ("Can't call numpy\\(\\)|requires grad\\. Use tensor\\.detach", "stay with torch; NumPy knows no gradient"),
    ("does not require grad", "nothing is left of the inputs there; look for .detach(), .item() or torch.tensor(...)"),
    ("more than one (value|element).* is ambiguous", "an `if` wants one truth value: torch.where, .any() or .all()"),
    ("only one element tensors|Tensor with \\d+ elements cannot|only integer tensors|only (length|size)-1 arrays",
     "there is more than one number in it; choose one, or stay with the tensor"),
    ("index k out of range", "there are fewer than k along this axis; choose another with dim=..."),
    ("must be long|Expected dtype int(32/int)?64|slice indices must|cannot be interpreted as an integer|"
     "indices must be integers",
     "an index is a whole number; divide with //"),
    ("same dtype|expected scalar type|Found dtype", "bring both to one dtype, for instance with .float()"),
    ("same number of dimensions", "the index needs as many axes as what it looks into"),
    ("out of bounds for dimension 0", "the first axis is chosen from; to choose in each row use .gather(1, index)"),
    ("out of bounds|out of range", "count from 0: the last index is the length minus 1"),
    ("to match target batch_size", "there must be one row of logits for each target; leave the same positions out"),
    ("target size|Target \\d+ is out", "cross_entropy wants one row of logits for each target: flatten batch and time"),
    ("[Ss]izes of tensors must match|equal size", "parts that are joined must be equally long along the other axes"),
    ("NoneType", "the value is None there; is a `return` or a default missing?"),
    ("unhashable", "what goes into a set or a dictionary must not change: make it a tuple"),
    ("'(list|tuple)' object has no attribute", "that is a plain {1}, not a tensor or an array"),
    ("'Tensor' object has no attribute|module .* has no attribute", "torch has another name for it"),
    ("has no attribute", "look at which names this object has"),
    ("math domain|expected a (positive|nonnegative) input", "a logarithm or a root of 0 or less was asked for"),
    ("codec can't", "not every character has a place there; UTF-8 has one for all"),
    ("^sort\\(\\) takes", "a stable sort wants its axis by name: .sort(dim=-1, descending=True, stable=True)"),
    ("positional argument|keyword argument|unexpected keyword", "look at how that function wants to be called"),
    ("object is not callable", "something that is no function is called with (...)"),
    ("not subscriptable|not iterable", "a single value has no items"),
    ("unsupported operand|not supported between", "the two values do not go together; is one a list or a string?"),
    ("must be Tensor, not", "hand over a tensor (torch.tensor makes one)"),
)  # fmt: skip

_BY_TYPE = {
    UnboundLocalError: "the name is used before it has a value on this way through the function",
    ZeroDivisionError: "what should the result be when there is nothing to divide by?",
    NameError: "a name is misspelled, or the cell that defines it has not run",
    KeyError: "look at which keys the dictionary has at that point",
    RecursionError: "the function calls itself without end",
    MemoryError: "something far too large is made there",
    OverflowError: "a number becomes too large there",
    AssertionError: "your own assertion does not hold",
    TypeError: "look at the types of the values on that line",
    ValueError: "look at the shapes and values on that line",
    RuntimeError: "look at the shapes and dtypes of the tensors on that line",
}


def crash(error: BaseException, attempt: Callable) -> str:
    """`IndexError in line 3 of your code (`...`): list index out of range; count from 0 ...`."""
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    words = advice(error)
    return f"{type(error).__name__}{where(error, attempt)}: {cut(text, 90)}; {words}{'' if words[-1] == '?' else '.'}"


def advice(error: BaseException) -> str:
    """What to look at."""
    if not isinstance(error, UnboundLocalError | NameError | KeyError):  # their text is a name of the learner's own
        for pattern, words in _BY_TEXT:
            found = re.search(pattern, str(error))
            if found:
                return words.replace("{1}", found[1]) if "{1}" in words else words
    return next((words for kind, words in _BY_TYPE.items() if isinstance(error, kind)), "look at that line")


def where(error: BaseException, attempt: Callable) -> str:
    """The deepest line of the learner's own code that the exception passed through."""
    code = getattr(inspect.unwrap(attempt), "__code__", None)
    return deepest_line(error, lambda file: code is not None and file == code.co_filename, longest=60)
