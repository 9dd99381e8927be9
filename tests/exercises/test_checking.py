"""The exercises: every reference passes, every known mistake gets its own hint, and no attempt can break a check."""

import ast
import contextlib
import inspect
import math
import re
import subprocess
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction

import nbformat
import numpy as np
import pytest
import torch
from places import LESSONS
from torch.nn import functional as F

from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.exercises import check, exercises, progress, solution
from moe_lessons.exercises import checking as checking_module
from moe_lessons.exercises import deadline as deadline_module
from moe_lessons.exercises.catalog import declared, find, lessons
from moe_lessons.exercises.checking import examine
from moe_lessons.exercises.compare import difference, same, show
from moe_lessons.exercises.exercise import run
from moe_lessons.exercises.patterns import pattern
from moe_lessons.model.attention import attend
from moe_lessons.model.cache import KVCache
from moe_lessons.model.rope import Rotation, rotate

pytestmark = pytest.mark.usefixtures("cache")

ALL = [f"{lesson}.{exercise.name}" for lesson in lessons() for exercise in declared(lesson)]
MISTAKES = [(name, hint) for name in ALL for hint in find(name).mistakes]


@pytest.mark.parametrize("name", ALL)
def test_the_reference_passes(name):
    verdict = examine(name, find(name).reference)
    assert verdict == ("correct", f"{name}: correct. {find(name).success}")


@pytest.mark.parametrize(("name", "hint"), MISTAKES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(MISTAKES)])
def test_every_known_mistake_triggers_its_own_hint(name, hint):
    verdict = examine(name, find(name).mistakes[hint])
    assert verdict.state == "not yet"
    assert verdict.line.startswith(f"{name}: not yet. {hint}")


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


@pytest.mark.parametrize("name", ALL)
def test_cases_are_the_same_at_every_call_and_references_leave_them_alone(name):
    exercise = find(name)
    assert all(same(a, b) for a, b in zip(exercise.cases(), exercise.cases(), strict=True))
    outcomes = exercise.outcomes(exercise.reference)
    assert all(outcome.error is None and outcome.changed is None for outcome in outcomes)
    assert not exercise.differentiable or all(outcome.gradients is not None for outcome in outcomes)


@pytest.mark.parametrize("name", ALL)
def test_an_exercise_says_what_it_wants(name):
    exercise = find(name)
    assert exercise.task.endswith(".") and exercise.success.endswith(".") and inspect.getdoc(exercise.reference)
    assert exercise.difficulty in (1, 2, 3) and exercise.minutes > 0
    assert len(exercise.mistakes) >= 2
    for dotted in exercise.sources:
        assert solution(dotted).code


def test_other_right_ways_pass():
    def attention_weights(queries, keys):
        weights = torch.zeros(*queries.shape[:2], queries.shape[1])
        for head in range(queries.shape[0]):
            for i in range(queries.shape[1]):
                scores = torch.stack([queries[head, i] @ keys[head, j] for j in range(i + 1)])
                weights[head, i, : i + 1] = F.softmax(scores / math.sqrt(queries.shape[2]), dim=0)
        return weights

    def window_weights(queries, keys, window):
        weights = torch.zeros(*queries.shape[:2], queries.shape[1])
        for i in range(queries.shape[1]):
            seen = slice(max(0, i - window + 1), i + 1)
            scores = torch.einsum("hd,htd->ht", queries[:, i], keys[:, seen]) / math.sqrt(queries.shape[2])
            weights[:, i, seen] = scores.softmax(dim=-1)
        return weights

    def cache_bytes(n_layers, n_heads, n_kv_heads, head_dim, tokens, bytes_per_number):
        one = n_kv_heads * head_dim * bytes_per_number
        return sum(one + one for _ in range(n_layers)) * tokens

    def rotate_neighbors(vectors, angles):
        turned = torch.view_as_complex(vectors.unflatten(1, (-1, 2))) * torch.exp(1j * angles)
        return torch.view_as_real(turned).flatten(1)

    def rms_norm(hidden, weight, eps):
        return hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps) * weight

    def swiglu(hidden, gate, up, down):
        opened = hidden @ gate.T
        return (opened * torch.sigmoid(opened) * (hidden @ up.T)) @ down.T

    def block(hidden, n_heads, query, key, value, output, gate, up, down):
        def unit(vector):
            return vector / torch.sqrt((vector * vector).mean() + 1e-5)

        after, width = [], hidden.shape[1] // n_heads
        for t in range(len(hidden)):
            past, heads = [unit(vector) for vector in hidden[: t + 1]], []
            for h in range(n_heads):
                rows = slice(h * width, (h + 1) * width)
                q = query[rows] @ past[-1]
                scores = torch.stack([q @ (key[rows] @ vector) / math.sqrt(width) for vector in past])
                shares = torch.exp(scores) / torch.exp(scores).sum()
                heads.append(sum(share * (value[rows] @ vector) for share, vector in zip(shares, past, strict=True)))
            vector = hidden[t] + output @ torch.cat(heads)
            opened = gate @ unit(vector)
            after.append(vector + down @ (opened / (1 + torch.exp(-opened)) * (up @ unit(vector))))
        return torch.stack(after)

    def route(logits, top_k):
        best = logits.topk(top_k)
        return best.values.softmax(dim=-1), best.indices

    def biased_route(scores, bias, top_k):
        experts = torch.topk(scores + bias, top_k).indices
        weights = torch.stack([row[chosen] for row, chosen in zip(scores, experts, strict=True)])
        return [weights / weights.sum(1, keepdim=True), experts]

    def max_over_mean(experts, n_experts):
        load = [int((experts == e).sum()) for e in range(n_experts)]
        return max(load) * n_experts / sum(load)

    def evenness(load):
        shares = [tokens / sum(load.tolist()) for tokens in load.tolist() if tokens]
        return sum(share * math.log(1 / share) for share in shares) / math.log(len(load))

    def model_balance_loss(logits, experts, real):
        losses = [auxiliary_loss(logits[i][real], experts[i][real]) for i in range(len(logits))]
        return sum(losses) / len(losses)

    def updated_bias(bias, loads, rate):
        total = loads.sum(0).tolist()
        mean = sum(total) / len(total)
        return torch.tensor([b + rate * ((t < mean) - (t > mean)) for b, t in zip(bias.tolist(), total, strict=True)])

    def experts_take(scores, slots):
        taken = torch.zeros_like(scores, dtype=torch.bool)
        for e in range(scores.shape[1]):
            best = sorted(range(len(scores)), key=lambda token: (-scores[token, e].item(), token))
            taken[best[:slots], e] = True
        return torch.where(taken, scores, 0)

    def auxiliary_loss(logits, experts):
        n_experts = logits.shape[1]
        share = F.one_hot(experts, n_experts).float().mean(dim=(0, 1))
        return n_experts * share @ torch.exp(logits - logits.logsumexp(1, keepdim=True)).mean(0)

    def top_p(probabilities, p):
        kept = torch.zeros_like(probabilities)
        for token in probabilities.argsort(descending=True):
            if kept.sum() >= p:
                break
            kept[token] = probabilities[token]
        return kept / kept.sum()

    def merge(ids, pair, new_id):
        out = []
        for token in ids:
            out.append(token)
            if tuple(out[-2:]) == pair:
                out[-2:] = [new_id]
        return out

    def expert_pairs(experts):
        return len(np.unique(np.sort(experts, axis=1), axis=0))

    def expert_load(experts, n_experts):
        return np.array([(experts == e).sum() for e in range(n_experts)])

    attempts = {
        "02": [attention_weights, window_weights, cache_bytes, rotate_neighbors],
        "03": [rms_norm, swiglu, block],
        "04": [top_p],
        "07": [route, biased_route, max_over_mean],
        "08": [evenness, auxiliary_loss, model_balance_loss, updated_bias, experts_take],
        "01": [merge],
        "00": [expert_pairs, expert_load],
    }
    for lesson, functions in attempts.items():
        for function in functions:
            verdict = examine(f"{lesson}.{function.__name__}", function)
            assert verdict.state == "correct", verdict.line


def test_attention_weights_are_those_of_the_packages_fused_kernel():
    for queries, keys in find("02.attention_weights").cases():
        values = torch.randn(queries.shape, generator=torch.Generator().manual_seed(1))
        mixed = attend(queries[None], keys[None], values[None])[0]
        assert torch.allclose(find("02.attention_weights").reference(queries, keys) @ values, mixed, atol=1e-6)


def test_cache_bytes_are_what_the_package_allocates():
    for n_layers, n_heads, n_kv_heads, head_dim, tokens, size in find("02.cache_bytes").cases():
        heads = AttentionConfig(n_heads=n_heads, n_kv_heads=n_kv_heads, head_dim=head_dim)
        config = ModelConfig(vocab_size=8, dim=8, n_layers=n_layers, hidden_dim=8, max_length=tokens, attention=heads)
        dtype = {1: torch.int8, 2: torch.bfloat16, 4: torch.float32}[size]
        expected = KVCache(config, device="meta", dtype=dtype).bytes
        assert find("02.cache_bytes").reference(n_layers, n_heads, n_kv_heads, head_dim, tokens, size) == expected


def test_both_layouts_of_a_turn_differ_by_the_order_of_entries_alone():
    for vectors, angles in find("02.rotate_neighbors").cases():
        both = torch.cat([angles, angles], dim=-1)
        halves = torch.cat([vectors[:, 0::2], vectors[:, 1::2]], dim=-1)
        turned = rotate(halves[None, None], Rotation(both.cos(), both.sin()))[0, 0]
        woven = torch.stack(turned.chunk(2, dim=-1), dim=-1).flatten(1)
        assert torch.allclose(find("02.rotate_neighbors").reference(vectors, angles), woven, atol=1e-6)


def test_a_whole_model_counted_by_hand_equals_the_reference():
    def parameters(config):
        width, kv = config.dim, config.attention.n_kv_heads * config.attention.head_dim
        queries = config.attention.n_heads * config.attention.head_dim
        block = 2 * width * queries + 2 * width * kv + 3 * width * config.hidden_dim + 2 * width
        return (2 - config.tie_embeddings) * config.vocab_size * width + config.n_layers * block + width

    assert examine("03.parameters", parameters).state == "correct"


def test_an_unknown_name_lists_the_lessons_exercises():
    with pytest.raises(ValueError, match=r"no exercise '01\.merg'; lesson 01 has: .*01\.merge"):
        check("01.merg", None)
    with pytest.raises(ValueError, match="no lesson '77' with exercises; the lessons with exercises are: 00, 01"):
        exercises("77")
    with pytest.raises(ValueError, match=r"such as '01\.merge'"):
        check("merge", None)


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


def test_a_loop_without_end_is_stopped_and_named(monkeypatch):
    def attempt(ids, pair, new_id):
        while True:
            with contextlib.suppress(Exception):
                new_id += 1

    monkeypatch.setattr(checking_module, "SECONDS", 0.3)
    text = examine("01.merge", attempt).line
    assert "did not finish within 0.3 seconds and was stopped in line" in text and "does every loop" in text


def test_check_prints_the_verdict_and_shows_the_first_cases_prints_only(capsys):
    def attempt(text, tokens):
        print("looking at", text)
        return len(text.encode()) / len(tokens)

    assert check("01.bytes_per_token", attempt) is None
    printed = capsys.readouterr().out
    assert printed.count("looking at") == 1
    assert "01.bytes_per_token: correct. " in printed


def test_what_check_prints_does_not_depend_on_progress(capsys):
    reference = find("01.merge").reference
    check("01.merge", reference)
    first = capsys.readouterr().out
    check("01.merge", reference)
    assert capsys.readouterr().out == first
    passed = progress()["01"]
    assert {name for name, done in passed.items() if done} == {"merge"} and len(passed) > 1
    assert f"1 of {len(passed)}" in repr(progress()) and "✓ merge" in progress()._repr_html_()


@pytest.mark.parametrize("content", ["{", "[[1]]", "3", "\udcff"])
def test_a_spoiled_progress_file_is_forgotten(content, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "progress.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    check("01.merge", find("01.merge").reference)
    assert progress()["01"]["merge"]


def test_progress_that_cannot_be_written_is_silent(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file" / "below"))
    check("01.merge", find("01.merge").reference)
    assert "correct" in capsys.readouterr().out
    assert not progress()["01"]["merge"]


def test_the_list_of_exercises_shows_tasks_and_signatures():
    listed = exercises("01")
    assert [exercise.name for _, exercise in listed] == [
        "bytes_per_token",
        "merge",
        "encode",
        "floor",
    ]
    assert "merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]" in repr(listed)
    assert "-&gt; list[int]" in listed._repr_html_()
    assert find("03.parameters").signature == "parameters(config: ModelConfig) -> int"
    assert find("08.auxiliary_loss").signature == (
        "auxiliary_loss(logits: Float[Tensor, 'tokens experts'], experts: Int[Tensor, 'tokens top_k'])"
        " -> Float[Tensor, '']"
    )


def test_a_solution_is_the_packages_own_source():
    from moe_lessons.model.router import Router

    shown = solution("moe_lessons.model.router.Router")
    assert shown.code == inspect.getsource(Router)
    assert repr(shown) == "<source of moe_lessons.model.router.Router>"
    page = shown._repr_html_()
    assert (
        "<details" in page
        and " open" not in page.split("<summary>")[0]
        and inspect.getdoc(Router).splitlines()[0] in page
    )


def test_an_exercises_solution_shows_its_reference_and_the_package_behind_it():
    code = solution("07.route").code
    assert "def route(" in code and "class Router(" in code and "def choose(" in code


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("os.path.join", "neither an exercise"),
        ("moe_lessons.model.router.Ruter", "has no 'moe_lessons.model.router.Ruter'"),
        ("moe_lessons.nothing", "has no 'moe_lessons.nothing'"),
        ("moe_lessons.__version__", "no source to show"),
        ("01.merg", "lesson 01 has"),
    ],
)
def test_a_solution_that_does_not_exist_is_refused(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        solution(name)


def test_the_first_lessons_checks_do_not_wait_for_torch():
    code = "import sys; from moe_lessons.exercises import check; check('01.merge', None); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "01.merge: not attempted yet\nFalse\n"


@pytest.mark.parametrize(
    ("yours", "expected", "verdict"),
    [
        (1, 1.0, True),
        (np.float64(2.0), 2.0, True),
        (torch.tensor(2.0), 2.0, True),
        (2.0 + 1e-9, 2.0, True),
        (2.01, 2.0, False),
        ((1, 2), [1, 2], True),
        ([1, 2, 3], [1, 2], False),
        (torch.tensor([1.0]), np.array([1.0]), False),
        (torch.tensor([1]), torch.tensor([1.0]), False),
        (torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0], dtype=torch.bfloat16), True),
        (torch.empty(0, 3), torch.empty(0, 3), True),
        (2**80, 2**80, True),
    ],
)  # fmt: skip
def test_results_are_compared_by_what_they_mean(yours, expected, verdict):
    assert same(yours, expected) is verdict


def test_values_are_shown_short_and_without_noise():
    assert show(torch.tensor([1.0, 0.333333])) == "[1, 0.3333]"
    assert show(torch.zeros(3, 4)) == "shape [3, 4]"
    assert show((1,)) == "(1,)" and len(show("x" * 500)) <= 72


def test_a_second_slip_in_one_case_does_not_hide_a_known_mistake():
    def evenness(load):
        share = load / load.sum()
        share = share[share > 0]
        return -(share * share.log()).sum() / math.log(len(share)) if len(share) > 1 else float("nan")

    assert "The largest entropy is that of all experts" in examine("08.evenness", evenness).line


def commented_out() -> dict[str, str]:
    """Exercise -> the code that its cell in a lesson asks the learner to take the comments off, after the imports."""
    found = {}
    for path in LESSONS:
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        parts = [part for cell in cells for part in ast.parse(cell.replace("%matplotlib inline", "")).body]
        imports = [ast.unparse(part) for part in parts if isinstance(part, ast.Import | ast.ImportFrom)]
        for cell in cells:
            asked = re.search(r'^check\("([\w.]+)", (\w+)\)$', cell, re.MULTILINE)
            bare = re.sub(r"^( +)# ", r"\1", cell, flags=re.MULTILINE)
            with contextlib.suppress(SyntaxError):  # prose, not code
                if asked and ast.dump(ast.parse(bare)) != ast.dump(ast.parse(cell)):
                    found[asked[1]] = "\n".join([*imports, bare[: bare.index("check(")], f"attempt = {asked[2]}"])
    return found


COMMENTED_OUT = commented_out()


@pytest.mark.parametrize("name", COMMENTED_OUT)
def test_a_bug_that_a_lesson_asks_to_find_is_recognized(name):
    given = {}
    exec(compile(COMMENTED_OUT[name], name, "exec"), given)
    verdict = examine(name, given["attempt"])
    assert verdict.state == "not yet"
    assert any(hint in verdict.line for hint in find(name).mistakes), verdict.line


def test_lessons_ask_to_find_many_bugs():
    assert len(COMMENTED_OUT) > 20


# Each was once accepted; the last case of its exercise, or one near it, tells it from the right answer.
ONCE_ACCEPTED = [
    ("01.merge", "digits, not ids", lambda ids, pair, new_id: [
        int(i) for i in " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id)).split()]),
    ("03.parameters", "dim // n_heads", lambda config: (
        (2 - config.tie_embeddings) * config.vocab_size * config.dim + config.dim + config.n_layers * (
            2 * config.dim * config.dim + 2 * config.dim * config.attention.n_kv_heads
            * (config.dim // config.attention.n_heads) + 3 * config.dim * config.hidden_dim + 2 * config.dim))),
    ("04.top_p", "<= at exactly p", lambda probabilities, p: (lambda values, order: (lambda kept: kept / kept.sum())(
        torch.zeros_like(probabilities).scatter(0, order, values * (values.cumsum(0) - values <= p))))(
            *probabilities.sort(descending=True))),
    ("06.after_dropping", "weights of 0", lambda weights, kept: (weights * kept, int((weights * kept == 0).sum()))),
    ("07.chosen_weights", "the best experts", lambda scores, experts, normalize, route_scale: (lambda best: (
        best / best.sum(-1, keepdim=True) if normalize else best) * route_scale)(scores.topk(experts.shape[1]).values)),
    ("08.model_balance_loss", "padding last", lambda logits, experts, real: find("08.model_balance_loss").reference(
        logits, experts, torch.arange(len(real)) < real.sum())),
    ("08.updated_bias", "//", lambda bias, loads, rate: (lambda total: bias + rate * (
        total.sum() // len(total) - total).sign())(loads.sum(0))),
    ("09.machines", "median", lambda experts, size: float(
        np.median([len(set(row)) for row in (experts // size).tolist()]))),
    ("10.conversation_bytes", "dim // n_heads", lambda config, tokens, size: config.n_layers * tokens * size * (
        config.attention.kv_lora_rank + config.attention.qk_rope_head_dim if hasattr(config.attention, "kv_lora_rank")
        else 2 * config.attention.n_kv_heads * (config.dim // config.attention.n_heads))),
    ("10.keep", "no epsilon", lambda compressed, rope_key, gain, by: (
        compressed / compressed.square().mean(-1, keepdim=True).sqrt() * gain, rotate(rope_key[:, None], by)[:, 0])),
    ("10.absorbing_is_cheaper", "<=", lambda new, time, latent, nope, value, rope: (
        new * latent * (nope + value) + new * time * (2 * latent + rope)
        <= time * latent * (nope + value) + new * time * (nope + rope + value))),
    ("11.acceptance", "0 / 0", lambda p, q: ((p / q).clamp(max=1) * q).sum()),
    ("12.training_price", "int", lambda active, tokens, peak, used, price: (
        (hours := int(6 * active * tokens / peak / used / 3600)), hours * price)),
    ("12.training_price", "int of the price's hours", lambda active, tokens, peak, used, price: (
        (hours := 6 * active * tokens / peak / used / 3600), int(hours) * price)),
    ("12.tiled", "0 / 0", lambda numbers, width: (lambda tiles: (lambda scales: (
        (tiles / scales).to(torch.float8_e4m3fn).float() * scales).flatten(1))(
            tiles.abs().amax(-1, keepdim=True) / 448))(numbers.unflatten(1, (-1, width)))),
    ("12.frontier", "ties", lambda compute, loss: [
        i for i in sorted(range(len(loss)), key=lambda i: compute[i])
        if all(loss[i] < loss[j] for j in range(len(loss)) if compute[j] < compute[i])]),
    ("12.come_home", "only tokens with business", lambda returned, business: torch.stack([
        returned[torch.where(business.T)[1] == token].sum(0) for token in torch.where(business.T)[1].unique()])),
    ("13.understand", "renormalized", lambda weights, experts, wanted: (lambda best, chosen: (
        best / best.sum(-1, keepdim=True), chosen))(*find("13.understand").reference(weights, experts, wanted))),
    ("13.beyond", "labels as text", lambda experts, domains, tokens: find("13.beyond").reference(
        experts, np.zeros_like(domains), np.array([int(f"{t}{d}") for t, d in zip(tokens, domains, strict=True)]))),
    ("13.route_without", "0 for -inf", lambda scores, bias, off, top_k: (lambda chosen: (
        scores.gather(1, chosen) / scores.gather(1, chosen).sum(1, keepdim=True), chosen))(
            (scores + bias).index_fill(1, torch.tensor([off]), 0.0).topk(top_k).indices)),
    ("13.route_without", "-1 for -inf", lambda scores, bias, off, top_k: (lambda chosen: (
        scores.gather(1, chosen) / scores.gather(1, chosen).sum(1, keepdim=True), chosen))(
            (scores + bias).index_fill(1, torch.tensor([off]), -1.0).topk(top_k).indices)),
    ("14.looks_ahead", "weights only", lambda route, hidden, n: not torch.allclose(
        route(hidden)[0][:n], route(torch.cat([hidden[:n], -3 * hidden[n:].flip(0) + 1]))[0][:n])),
    ("14.looks_ahead", "sums of weights", lambda route, hidden, n: not torch.allclose(
        route(hidden)[0][:n].sum(1), route(torch.cat([hidden[:n], -3 * hidden[n:].flip(0) + 1]))[0][:n].sum(1))),
    ("14.looks_ahead", "suffix cut off", lambda route, hidden, n: not all(
        torch.allclose(a[:n].float(), b.float()) for a, b in zip(route(hidden), route(hidden[:n]), strict=True))),
    ("14.looks_ahead", "suffix doubled", lambda route, hidden, n: not all(
        torch.allclose(a[:n].float(), b[:n].float())
        for a, b in zip(route(hidden), route(torch.cat([hidden, hidden[n:]])), strict=True))),
    ("14.looks_ahead", "suffix scaled", lambda route, hidden, n: not all(
        torch.allclose(a[:n].float(), b[:n].float())
        for a, b in zip(route(hidden), route(torch.cat([hidden[:n], 2 * hidden[n:]])), strict=True))),
    ("14.fewest_experts", "normalized", lambda scores, p: find("14.fewest_experts").reference(
        scores / scores.sum(1, keepdim=True), p)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "slip", "attempt"), ONCE_ACCEPTED, ids=[f"{n}-{slip}" for n, slip, _ in ONCE_ACCEPTED]
)
def test_a_wrong_function_that_was_once_accepted_is_refused(name, slip, attempt):
    assert examine(name, attempt).state == "not yet"


RIGHT = [
    ("00.expert_load", lambda experts, n_experts: np.bincount(experts.ravel(), minlength=n_experts).astype(float)),
    ("00.active_share", lambda common, each, n, k: Fraction(common + k * each, common + n * each)),
    ("00.active_share", lambda common, each, n, k: Decimal(common + k * each) / Decimal(common + n * each)),
    ("03.rms_norm", lambda hidden, weight, eps: F.rms_norm(hidden.double(), weight.shape, weight.double(), eps)),
    ("07.route", lambda logits, top_k: list(find("07.route").reference(logits, top_k))),
    ("09.gate", lambda logits, bias, top_k, scale: list(find("09.gate").reference(logits, bias, top_k, scale))),
    ("10.split_query", lambda query, rope_dim, by: [query[..., :-rope_dim], rotate(query[..., -rope_dim:], by)]),
    ("10.keep", lambda latent, key, gain, by: list(find("10.keep").reference(latent, key, gain, by))),
    ("11.acceptance", lambda p, q: sum(min(pair) for pair in zip(p.tolist(), q.tolist(), strict=True))),
    ("11.acceptance", lambda p, q: np.minimum(p.numpy(), q.numpy()).sum()),
    ("13.route_without", lambda scores, bias, off, top_k: (lambda chosen: (
        scores.gather(1, chosen) / scores.gather(1, chosen).sum(1, keepdim=True), chosen))(
            (scores + bias).index_fill(1, torch.tensor([off]), -1e9).topk(top_k).indices)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "attempt"), RIGHT)
def test_right_answers_in_another_dress_pass(name, attempt):
    assert examine(name, attempt).state == "correct", examine(name, attempt).line


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


def test_a_lost_gradient_does_not_hide_a_known_mistake():
    hint, mistake = next(iter(find("05.mixture").mistakes.items()))
    assert hint in examine("05.mixture", lambda logits, answers, top_k: mistake(logits, answers, top_k).detach()).line


def test_a_wrong_dtype_does_not_hide_a_known_mistake():
    for name in ("03.rms_norm", "05.mixture", "08.evenness"):
        for hint, mistake in find(name).mistakes.items():
            as_doubles = examine(name, lambda *case, mistake=mistake: as_double(mistake(*case)))
            gradient_alone = "detach" in hint or "cut off" in hint
            assert hint in as_doubles.line or gradient_alone, as_doubles.line


def as_double(value):
    return np.float64(value) if isinstance(value, float) else value.double()


def test_digits_are_added_until_both_sides_differ():
    line = examine("01.floor", lambda probabilities: round(find("01.floor").reference(probabilities), 3)).line
    assert "you have 1.04, expected 1.0397" in line
    assert (
        difference((torch.zeros(2), [1.00001, 3]), (torch.zeros(2), [2.0, 3]))
        == "in item 1 you have [1, 3], expected [2, 3]"
    )
    near = torch.tensor([1.0, 2.0001], dtype=torch.float64), torch.tensor([1.0, 2.0004], dtype=torch.float64)
    assert difference(*near) == "at [1] you have 2.0001, expected 2.0004"


@pytest.mark.parametrize("name", ALL)
def test_known_mistakes_give_a_value_for_the_simplest_input(name):
    """One that always stops would be recognized in everything that stops in the same way."""
    exercise = find(name)
    assert all(run(mistake, exercise.cases()[0]).error is None for mistake in exercise.mistakes.values())


@pytest.mark.parametrize("name", ALL)
def test_no_message_prints_the_same_on_both_sides(name):
    for mistake in find(name).mistakes.values():
        both = re.search(r"you have (.+), expected (.+)\.$", examine(name, mistake).line)
        assert both is None or both[1] != both[2]


def test_several_tensors_are_shown_by_their_shapes():
    line = examine(
        "03.swiglu", lambda hidden, gate, up, down: hidden + find("03.swiglu").reference(hidden, gate, up, down)
    ).line
    assert "For hidden of shape [1, 2], gate [3, 2], up [3, 2], down [2, 3] " in line


# ---- what all results have in common


PATTERNS = [
    ("00.active_share", lambda right: 3 * right, "All your results are 3 times what was expected."),
    ("00.active_share", lambda right: right / 1024, "All your results are 1/1024 of what was expected."),
    ("00.active_share", lambda right: -right, "All your results have the wrong sign."),
    ("11.ahead_loss", lambda right: right / math.log(2),
     "All your results are 1.443 times what was expected (a logarithm to the base 2?)."),
    ("12.training_price", lambda right: (right[0] * 60, right[1] * 60),
     "All your results are 60 times what was expected (minutes where hours are wanted?)."),
    ("12.training_price", lambda right: (right[0] / 24, right[1]),
     "Only item 0 of the result is wrong. All its numbers are 1/24 of what was expected."),
    ("06.after_dropping", lambda right: right[::-1], "The two parts of the result are swapped."),
    ("09.cut", lambda right: (right[1], right[0], *right[2:]), "your items [1, 0, 2, 3]"),
    ("11.leftover", lambda right: right.flip(0), "These are the right numbers, but each row is in reverse order."),
    ("12.frontier", sorted, "These are the right numbers, but in another order."),
    ("09.machines", lambda right: right - 1, "All your results are 1 too small."),
    ("00.expert_pairs", lambda right: right + 2, "All your results are 2 too large."),
    ("04.bits_per_byte", lambda right: round(right, 2), "Your results are rounded to 2 decimals"),
    ("07.max_over_mean", int, "Your results are cut down to whole numbers"),
    ("00.active_share", lambda right: 1 - right, "In every case you have 1 minus what was expected."),
    ("00.active_share", lambda right: 1 / right, "In every case you have 1 divided by what was expected."),
    ("01.floor", math.exp, "In every case you have e to the power of what was expected."),
    ("07.chosen_weights", lambda right: right / right.amax(-1, keepdim=True), "Each row is off by a factor of its own"),
    ("06.first_come", lambda right: ~right, "Every answer is the opposite of what was expected."),
    ("10.absorbing_is_cheaper", lambda right: True, "Every answer is True, whatever the input."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"), PATTERNS, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(PATTERNS)]
)
def test_what_all_results_have_in_common_is_named(name, spoil, sentence):
    reference = find(name).reference
    assert sentence in examine(name, lambda *case: spoil(reference(*case))).line


def test_a_factor_of_its_own_in_each_case_is_traced_to_an_argument():
    def share(common, per_expert, n_experts, top_k):
        return n_experts * find("00.active_share").reference(common, per_expert, n_experts, top_k)

    assert "In every case you have what was expected times n_experts." in examine("00.active_share", share).line


@pytest.mark.parametrize(
    ("yours", "expected"),
    [
        ([0, 0, 0], [0, 0, 0]),  # all zero: any factor would do
        ([3, 3, 3], [1, 1, 1]),  # one expected number: three times it, 2 more than it, and anything else
        ([6, 0, 1], [2, 0, 3]),
        ([2.0, 4.0, 6.5], [1.0, 2.0, 3.0]),
        ([np.array([1, 2]), np.array([4, 4])], [np.array([2, 1]), np.array([4, 3])]),  # reversed once, not twice
        ([np.array([True, False]), np.array([True, True])], [np.array([False, True]), np.array([True, True])]),
        ([float("nan"), 2.0], [1.0, 2.0]),
        ([np.array([1.0]), np.array([2.0])], [np.array([1.0, 1.0]), np.array([2.0])]),
        (["a", "b"], ["b", "a"]),
        ([(1, 2), (3, 4)], [(2, 1), (3, 4)]),
    ],
)  # fmt: skip
def test_no_rule_speaks_where_it_does_not_hold_everywhere(yours, expected):
    assert pattern(yours, expected, [{} for _ in expected]) == ""


def test_half_of_all_messages_are_short():
    lengths = [len(examine(name, find(name).mistakes[hint]).line) for name, hint in MISTAKES]
    assert np.median(lengths) <= 180


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


# ---- deadlines


@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_a_loop_without_end_is_stopped_without_alarms_too(where, monkeypatch):
    def attempt(ids, pair, new_id):
        while True:
            with contextlib.suppress(Exception):
                new_id += 1

    monkeypatch.setattr(checking_module, "SECONDS", 0.3)
    monkeypatch.delattr(deadline_module.signal, "SIGALRM", raising=False)
    lines = []
    if where == "main thread":
        lines.append(examine("01.merge", attempt).line)
    else:
        thread = threading.Thread(target=lambda: lines.append(examine("01.merge", attempt).line))
        thread.start()
        thread.join(60)
    assert "did not finish within 0.3 seconds and was stopped in line" in lines[0]


def test_what_ends_in_time_is_left_alone_without_alarms(monkeypatch):
    monkeypatch.delattr(deadline_module.signal, "SIGALRM", raising=False)
    monkeypatch.setattr(checking_module, "SECONDS", 0.2)
    for _ in range(3):
        assert examine("01.merge", find("01.merge").reference).state == "correct"
    time.sleep(0.4)  # a watchdog that is still waiting would bite here
    assert threading.active_count() < 20


def test_one_long_call_that_cannot_be_stopped_is_reported(monkeypatch, capsys):
    monkeypatch.delattr(deadline_module.signal, "SIGALRM", raising=False)
    with pytest.raises(deadline_module.OutOfTime), deadline_module.deadline(0.1):
        time.sleep(0.5)
        sum(range(1000))
    assert "cannot be stopped from here; interrupt the kernel" in capsys.readouterr().err
