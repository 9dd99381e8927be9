"""`check`: what is not attempted, what is wrong, and the sentence for a fault that nobody listed."""

import math
import subprocess
import sys

import pytest
import torch
from every_exercise import ALL
from torch.nn import functional as F

from moe_lessons.exercises import check
from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.model.rope import rotate

pytestmark = pytest.mark.usefixtures("cache")


def stub_returning_none(*arguments):
    """Stub."""
    return None  # noqa: RET501 - as it stands in the lessons


def stub_of_dots(*arguments): ...


def stub_returning_dots(*arguments):
    return ...


def stub_returning_two_gaps(*arguments):
    return ..., ...


def stub_that_passes(*arguments):
    pass


def stub_that_raises(*arguments):
    """Stub."""
    raise NotImplementedError


def stub_that_raises_with_words(*arguments):
    raise NotImplementedError("to do")


STUBS = [
    stub_returning_none, stub_of_dots, stub_returning_dots, stub_returning_two_gaps, stub_that_passes, stub_that_raises,
    stub_that_raises_with_words,
]  # fmt: skip


@pytest.mark.parametrize("stub", STUBS)
def test_a_bare_stub_is_not_attempted(stub):
    for name in ("01.merge", "05.mixture", "07.route"):
        assert examine(name, stub).line == f"{name}: not attempted yet"


@pytest.mark.parametrize("name", ALL)
def test_nothing_handed_over_is_not_attempted(name):
    assert examine(name, ...).line == examine(name, None).line == f"{name}: not attempted yet"
    assert examine(name, stub_returning_none).line == f"{name}: not attempted yet"


@pytest.mark.parametrize(
    ("name", "attempt", "hint"),
    [
        ("01.merge", lambda ids, pair, new_id: ids.append(1) or [], "changes its argument `ids` in place"),
        ("01.merge", lambda ids, pair: ids, "takes (ids, pair), but it is called as merge(ids"),
        ("01.merge", [1, 2], "without calling it"),
        ("01.merge", lambda ids, pair, new_id: torch.tensor(ids), "returns a tensor of shape [5], but a list of 3"),
        ("01.merge", lambda ids, pair, new_id: [], "returns 0 items, but 3 items were expected"),
        ("01.merge", lambda ids, pair, new_id: None if new_id == 9 else find("01.merge").reference(ids, pair, new_id),
         "lacks a `return`"),
        ("01.bytes_per_token", lambda text, tokens: math.nan, "holds NaN"),
        ("01.bytes_per_token", lambda text, tokens: "2", "returns a string, but one number was expected"),
        ("03.rms_norm", lambda hidden, weight, eps: hidden[0], "has shape [2], but [1, 2] was expected"),
        ("06.first_come", lambda experts, n_experts, slots:
         find("06.first_come").reference(experts, n_experts, slots).int(), "their dtype is int32; bool was expected"),
        ("07.route", lambda logits, top_k: (lambda weights, experts: (weights, experts.float()))(
            *find("07.route").reference(logits, top_k)),
         "In item 1: The numbers are right, but their dtype is float32; int64 was expected."),
        ("03.rms_norm", lambda hidden, weight, eps: find("03.rms_norm").reference(hidden, weight, eps).detach(),
         "no gradient flows back"),
        ("03.rms_norm", lambda hidden, weight, eps: hidden.mul_(weight), "changes its argument `hidden` in place"),
        ("03.rms_norm", lambda hidden, weight, eps: find("03.rms_norm").reference(hidden.detach(), weight, eps),
         "no gradient reaches `hidden`"),
        ("03.rms_norm", lambda hidden, weight, eps:
         hidden / (hidden.detach().square().mean(-1, keepdim=True) + eps).sqrt() * weight,
         "a part of the gradient of `hidden` is missing or wrong"),
        ("07.route", lambda logits, top_k: logits, "returns a tensor of shape [1, 4], but a tuple of 2"),
        ("00.expert_load", lambda experts, n_experts: [0] * n_experts,
         "returns a list, but a NumPy array of shape [4]"),
        ("00.expert_load", lambda experts, n_experts: [int((experts == e).sum()) for e in range(n_experts)],
         "The numbers are right, but they come as a list; a NumPy array of shape [4] was expected."),
        ("03.rms_norm", lambda hidden, weight, eps: find("03.rms_norm").reference(hidden, weight, eps).half(),
         "off by less than 1% everywhere"),
        ("05.top1_weight", lambda logits: logits.softmax(-1).max(-1), "of which item 0 is what was expected"),
        ("05.top1_weight", lambda logits: logits.softmax(-1).max(-1, keepdim=True).values,
         "The numbers are right, but in shape [1, 1]; [1] was expected."),
        ("07.route", lambda logits, top_k: find("07.route").reference(logits, top_k)[0],
         "That is item 0 alone; a tuple of 2 was expected."),
        ("01.merge", lambda ids, pair, new_id: sys.exit(), "calls exit()"),
        ("00.active_share", lambda common, per_expert, n_experts, top_k: quit(), "calls exit()"),
    ],
)  # fmt: skip
def test_a_fault_nobody_listed_is_still_named(name, attempt, hint):
    verdict = examine(name, attempt)
    assert verdict.state == "not yet"
    assert hint in verdict.line


def test_a_forgotten_return_is_told_from_a_stub():
    def attempt(ids, pair, new_id):
        merged = [new_id for _ in ids]
        merged.reverse()

    assert (
        examine("01.merge", attempt).line == "01.merge: not yet. The function returns None; end it with `return ...`."
    )


def test_a_return_that_is_missing_for_the_first_input_only_is_named():
    def noisy_logits(hidden, weight, noise_weight, normal, training):
        return hidden @ weight.T + normal * F.softplus(hidden @ noise_weight.T) if training else None

    assert (
        "it returns None: one way through the function lacks a `return`"
        in examine("05.noisy_logits", noisy_logits).line
    )


def test_a_half_filled_gap_is_not_attempted():
    def attempt(text, tokens):
        size = ...
        return size / len(tokens)

    assert examine("01.bytes_per_token", attempt).line == "01.bytes_per_token: not attempted yet"


def test_check_prints_the_verdict_and_shows_the_first_cases_prints_only(capsys):
    def attempt(text, tokens):
        print("looking at", text)
        return len(text.encode()) / len(tokens)

    assert check("01.bytes_per_token", attempt) is None
    printed = capsys.readouterr().out
    assert printed.count("looking at") == 1
    assert "01.bytes_per_token: correct. " in printed


def test_the_first_lessons_checks_do_not_wait_for_torch():
    code = "import sys; from moe_lessons.exercises import check; check('01.merge', None); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "01.merge: not attempted yet\nFalse\n"


@pytest.mark.parametrize(
    ("name", "attempt"),
    [
        ("07.route", lambda logits, top_k: [part.detach() for part in find("07.route").reference(logits, top_k)]),
        ("10.keep", lambda latent, key, gain, by: [
            find("10.keep").reference(latent, key, gain, by)[0].detach(), rotate(key[:, None], by)[:, 0]]),
    ],
)  # fmt: skip
def test_a_list_in_place_of_a_tuple_keeps_its_gradient_check(name, attempt):
    verdict = examine(name, attempt)
    assert verdict.state == "not yet" and "no gradient" in verdict.line


def test_where_going_back_fails_the_values_are_judged_first():
    def overwrites(vectors, angles, sign):
        turned = vectors.clone()
        turned[:, ::2] = turned[:, ::2] * angles.cos() - turned[:, 1::2] * angles.sin()
        turned[:, 1::2] = turned[:, 1::2] * angles.cos() + sign * turned[:, ::2] * angles.sin()
        return turned

    line = examine("02.rotate_neighbors", lambda vectors, angles: overwrites(vectors, angles, 1)).line
    assert "The second line uses the first entry after it was turned" in line
    line = examine("02.rotate_neighbors", lambda vectors, angles: overwrites(vectors, angles, -2)).line
    assert " you have " in line and "inplace" not in line

    def right_but_in_place(hidden, weight, eps):
        root = (hidden.square().mean(-1, keepdim=True) + eps).sqrt()
        result = hidden / root * weight
        root.add_(1)
        return result

    line = examine("03.rms_norm", right_but_in_place).line
    assert "The values are right, but the way back fails" in line and "write into a new one" in line


def test_nothing_is_called_cut_off_where_only_the_values_are_wrong():
    """Where some cases come out right by chance, their gradients are not, and that is no detached tensor."""
    for name in ("06.combine", "10.keep", "11.ahead_loss"):
        for mistake in find(name).mistakes.values():
            line = examine(name, mistake).line
            assert "detach" not in line and "gradient" not in line, line

    def ahead_loss(logits, targets, depth):
        seen = targets[:, 1:] if depth == 0 else targets[:, depth : depth + logits.shape[1] - 1]
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), seen.flatten())

    assert " you have " in examine("11.ahead_loss", ahead_loss).line
