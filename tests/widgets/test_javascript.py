"""The widgets' JavaScript, run by Node: its own tests, and its routing rule against Python's."""

import json
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from moe_lessons.figures.routing import difference, expert_colors
from moe_lessons.figures.style import PALETTE
from moe_lessons.routing_rule import GROUP_SCORES, SCORE_FUNCTIONS
from moe_lessons.tracing.noise import unit_noise
from moe_lessons.tracing.rule import DROPPING, Knobs, route_with

HERE = Path(__file__).resolve().parents[1] / "js"


def run_node(node: str, *arguments: str, send: str = "") -> str:
    result = subprocess.run(
        [node, *arguments], input=send, capture_output=True, text=True, encoding="utf-8", cwd=HERE, timeout=120
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


# What begins with site_ belongs to tests/site/.
OWN = [path for path in sorted(HERE.glob("*.test.js")) if not path.name.startswith("site_")]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_the_widgets_own_tests_pass_in_node(node, path):
    run_node(node, "--test", str(path))


def random_case(rng: np.random.Generator) -> dict:
    layers, tokens = int(rng.integers(1, 3)), int(rng.integers(1, 9))
    groups, size = (
        (1, int(rng.integers(1, 12))) if rng.random() < 0.7 else (int(rng.integers(2, 5)), int(rng.integers(2, 5)))
    )
    experts = groups * size
    logits = rng.normal(size=(layers, tokens, experts)) * rng.choice([0.5, 3.0, 60.0])
    if rng.random() < 0.3:
        logits = np.round(logits)  # many ties
    bias = rng.normal(size=(layers, experts)) * rng.choice([0.0, 0.1, 2.0])
    top_groups = int(rng.integers(1, groups + 1))
    off = rng.permutation(size)[: rng.integers(0, size)] if rng.random() < 0.3 else np.array([], int)  # in one group
    left = experts - len(off) if top_groups == groups else top_groups * size - len(off)
    knobs = Knobs(
        top_k=int(rng.integers(1, left + 1)),
        score_function=str(rng.choice(SCORE_FUNCTIONS)),
        normalize=bool(rng.random() < 0.5),
        route_scale=float(rng.choice([1.0, 2.5])),
        temperature=float(rng.choice([0.1, 0.7, 1.0, 4.0])),
        noise=float(rng.choice([0.0, 0.0, 0.3, 2.0])),
        seed=int(rng.integers(0, 2**32)),
        capacity=float(rng.choice([0.0, 0.25, 0.5, 1.0, 1.1, 1.25, 2.0])),
        dropping=str(rng.choice(DROPPING)),
        bias=tuple(rng.normal(size=experts) * rng.choice([0.0, 0.1, 1.0])),
        off=tuple(off),
        n_groups=groups,
        top_groups=top_groups,
        group_score=str(rng.choice(GROUP_SCORES)),
    )
    return {
        "numbers": sorted(rng.permutation(60)[:layers].tolist()),
        "logits": logits.astype(np.float32),
        "bias": bias.astype(np.float32),
        "knobs": knobs,
    }


def for_javascript(case: dict) -> dict:
    layers, tokens, experts = case["logits"].shape
    knobs = {
        re.sub(r"_(.)", lambda found: found[1].upper(), name): value for name, value in asdict(case["knobs"]).items()
    }
    arrays = {name: case[name].ravel().tolist() for name in ("logits", "bias")}
    sizes = {"layers": layers, "tokens": tokens, "experts": experts, "numbers": case["numbers"]}
    return sizes | arrays | {"knobs": knobs}


def test_javascript_routes_a_thousand_random_cases_as_python_does(node):
    rng = np.random.default_rng(0)
    cases = [random_case(rng) for _ in range(1000)]
    answers = json.loads(run_node(node, "routes.js", send=json.dumps([for_javascript(case) for case in cases])))
    for case, answer in zip(cases, answers, strict=True):
        knobs = case["knobs"]
        want = route_with(case["logits"], case["bias"][:, None], knobs, case["numbers"])
        assert np.array_equal(want.experts.ravel(), answer["experts"]), knobs
        assert np.allclose(want.weights.ravel(), answer["weights"], rtol=1e-9, atol=0), knobs
        assert np.allclose(want.scores.ravel(), answer["scores"], rtol=1e-9, atol=0), knobs
        assert not knobs.capacity or np.array_equal(want.dropped.ravel(), answer["dropped"]), knobs
    drops = [want["dropped"] for want in answers if want["dropped"]]
    assert sum(map(any, drops)) > 200, "too few cases drop anything"


def test_noise_is_the_same_in_javascript_to_the_last_bit(node):
    script = (
        'import { unitNoise } from "../../moe_lessons/widgets/shared/rule.js";'
        "process.stdout.write(JSON.stringify([0, 7, 4294967295].map((seed) => [...unitNoise(seed, 61, 40, 16)])));"
    )
    noise = json.loads(run_node(node, "--input-type=module", "--eval", script))
    assert noise == [unit_noise(seed, [61], 40, 16).ravel().tolist() for seed in (0, 7, 2**32 - 1)]


def test_experts_have_the_same_color_in_the_browser_and_in_the_still_picture(node):
    script = (
        'import { expertColors } from "../../moe_lessons/widgets/shared/expert_colors.js";'
        f"process.stdout.write(JSON.stringify(expertColors({json.dumps(PALETTE)}, 80)));"
    )
    colors = json.loads(run_node(node, "--input-type=module", "--eval", script))
    assert colors == expert_colors(80)
    assert len(set(colors[:64])) == 64


def test_the_difference_counts_choices_that_only_one_routing_made():
    own = np.array([[[0, 1], [2, 3]]])
    assert difference(np.array([[[1, 0], [3, 2]]]), own) == 0
    assert difference(np.array([[[0, 4], [2, 3]]]), own) == 0.25
    assert difference(np.array([[[0], [2]]]), own) == 0.5
