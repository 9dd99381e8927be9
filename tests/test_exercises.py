"""The exercises: every reference passes, every known mistake gets its own hint, and no attempt can break a check."""

import ast
import contextlib
import inspect
import math
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.exercises import check, exercises, progress, solution
from moe_lessons.exercises import checking as checking_module
from moe_lessons.exercises.catalog import declared, find, lessons
from moe_lessons.exercises.checking import examine
from moe_lessons.exercises.compare import same, show
from moe_lessons.model.attention import attend
from moe_lessons.model.cache import KVCache
from moe_lessons.model.rope import Rotation, rotate

ALL = [f"{lesson}.{exercise.name}" for lesson in lessons() for exercise in declared(lesson)]
MISTAKES = [(name, hint) for name in ALL for hint in find(name).mistakes]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ALL)
def test_the_reference_passes(name):
    verdict = examine(name, find(name).reference)
    assert verdict == ("correct", f"{name}: correct. {find(name).success}")


@pytest.mark.parametrize(("name", "hint"), MISTAKES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(MISTAKES)])
def test_every_known_mistake_triggers_its_own_hint(name, hint):
    verdict = examine(name, find(name).mistakes[hint])
    assert verdict.state == "not yet"
    assert verdict.line.startswith(f"{name}: not yet. {hint}")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("returns", [None, ..., NotImplementedError], ids=["None", "Ellipsis", "NotImplementedError"])
def test_a_gap_is_called_not_attempted(name, returns):
    def attempt(*arguments):
        """Stub."""
        if returns is NotImplementedError:
            raise NotImplementedError
        return returns

    assert examine(name, attempt).state == "not attempted yet"
    assert examine(name, ...).line == examine(name, None).line == f"{name}: not attempted yet"


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
        ("03.rms_norm", lambda hidden, weight, eps: find("03.rms_norm").reference(hidden, weight, eps).double(),
         "dtype float64, but float32 was expected"),
        ("03.rms_norm", lambda hidden, weight, eps: find("03.rms_norm").reference(hidden, weight, eps).detach(),
         "no gradient flows back"),
        ("03.rms_norm", lambda hidden, weight, eps: hidden.mul_(weight), "make a new tensor instead"),
        ("03.rms_norm", lambda hidden, weight, eps: find("03.rms_norm").reference(hidden.detach(), weight, eps),
         "cut off from the inputs"),
        ("07.route", lambda logits, top_k: logits, "returns a tensor of shape [1, 4], but a tuple of 2"),
        ("00.expert_load", lambda experts, n_experts: [0] * n_experts,
         "returns a list, but a NumPy array of shape [4]"),
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

    assert examine("01.merge", attempt).line == (
        "01.merge: not attempted yet: the function returns None; end it with `return ...`"
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
    for path in sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb")):
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
