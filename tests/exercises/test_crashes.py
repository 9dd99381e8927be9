"""An exception of the learner's code is one sentence with the learner's own line."""

import inspect
import math  # noqa: F401 - for the code of test_advice_follows_what_the_error_says

import pytest
import torch
from torch.nn import functional as F

from moe_lessons.exercises.checking import examine

pytestmark = pytest.mark.usefixtures("cache")


def test_a_crash_is_one_sentence_with_the_learners_own_line():
    def attempt(ids, pair, new_id):
        return ids[100]

    line = inspect.getsourcelines(attempt)[1] + 1
    text = examine("01.merge", attempt).line
    assert f"IndexError in line {line} of your code (`return ids[100]`): list index out of range;" in text
    assert "\n" not in text


def test_a_crash_inside_torch_is_reported_at_the_learners_line():
    def attempt(hidden, gate, up, down):
        return F.linear(hidden @ gate, down)

    text = examine("03.swiglu", attempt).line
    assert "RuntimeError in line" in text and "F.linear(hidden @ gate, down)" in text and "shapes" in text


@pytest.mark.parametrize(
    ("name", "attempt"),
    [
        ("07.max_over_mean", lambda experts, n_experts: torch.softmax(experts, -1)),
        ("06.group_ends", lambda experts, n_experts: torch.bincount(experts.flatten().float())),
        ("12.tiled", lambda numbers, width: numbers.to(torch.float8_e4m3fn).amax()),
    ],
)  # fmt: skip
def test_a_function_that_torch_does_not_have_for_a_dtype_is_no_stub(name, attempt):
    """torch raises NotImplementedError or RuntimeError there, depending on its version and the function."""
    verdict = examine(name, attempt)
    assert verdict.state == "not yet"
    assert ".float()" in verdict.line or ".long()" in verdict.line


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("torch.ones(2, 3) @ torch.ones(2, 3)", "to be transposed"),
        ("torch.ones(2, 3) + torch.ones(2)", "keepdim=True"),
        ("torch.ones(2, dtype=torch.long).mean()", ".float()"),
        ("torch.softmax(torch.ones(2, dtype=torch.long), 0)", ".float()"),
        ("torch.bincount(torch.ones(2))", ".long()"),
        ("torch.ones(2, 3).view(4)", "multiply to the number of entries"),
        ("torch.zeros(2).index_add(0, torch.ones(1), torch.ones(1))", "divide with //"),
        ("torch.ones(2)[torch.ones(1)]", "divide with //"),
        ("torch.ones(2, dtype=torch.bfloat16) @ torch.ones(2)", "one dtype"),
        ("torch.ones(2, requires_grad=True).numpy()", "NumPy knows no gradient"),
        ("1 if torch.ones(2) > 0 else 2", "torch.where"),
        ("torch.ones(2, dtype=torch.bool) - torch.ones(2, dtype=torch.bool)", "~mask"),
        ("torch.ones(3).topk(4)", "fewer than k"),
        ("torch.ones(2, 2).sort(-1, descending=True, stable=True)", "its axis by name"),
        ("torch.ones(2, 3).gather(1, torch.zeros(2, dtype=torch.long))", "as many axes"),
        ("[1, 2].mean()", "a plain list"),
        ("torch.ones(2).clip_by_norm()", "another name"),
        ("None + 1", "a `return` or a default"),
        ("{[1, 2]}", "make it a tuple"),
        ("math.log(0)", "a logarithm or a root"),
        ("1 / 0", "nothing to divide by"),
        ("undefined + 1", "misspelled"),
        ("torch.stack([torch.ones(2), torch.ones(3)])", "equally long"),
        ("'ä'.encode('ascii')", "UTF-8"),
        ("[1, 2][5]", "count from 0"),
        ("sum(1)", "no items"),
        ("F.cross_entropy(torch.ones(3, 4), torch.ones(2, dtype=torch.long))", "one row of logits for each target"),
    ],
)  # fmt: skip
def test_advice_follows_what_the_error_says(code, advice):
    def attempt(*case):
        return eval(code)

    line = examine("01.merge", attempt).line
    assert advice in line, line
    assert not line.endswith("?.")
