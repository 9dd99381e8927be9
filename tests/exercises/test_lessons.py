"""The lessons' own exercises: every reference passes, and every known mistake gets its own hint."""

import ast
import contextlib
import inspect
import re

import nbformat
import numpy as np
import pytest
import torch
from every_exercise import ALL, MISTAKES
from places import LESSONS

from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.exercises import solution
from moe_lessons.exercises.catalog import find
from moe_lessons.exercises.checking import examine
from moe_lessons.exercises.compare import same
from moe_lessons.exercises.exercise import run
from moe_lessons.model.attention import attend
from moe_lessons.model.cache import KVCache
from moe_lessons.model.rope import Rotation, rotate

pytestmark = pytest.mark.usefixtures("cache")


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


@pytest.mark.parametrize("name", ALL)
def test_known_mistakes_give_a_value_for_the_simplest_input(name):
    """One that always stops would be recognized in everything that stops in the same way."""
    exercise = find(name)
    assert all(run(mistake, exercise.cases()[0]).error is None for mistake in exercise.mistakes.values())


def test_half_of_all_messages_are_short():
    lengths = [len(examine(name, find(name).mistakes[hint]).line) for name, hint in MISTAKES]
    assert np.median(lengths) <= 180


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
