"""The widgets' JavaScript, run by Node: its own tests, and its routing rule against Python's."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from moe_lessons.figures.routing import difference, expert_colors
from moe_lessons.figures.style import PALETTE
from moe_lessons.tracing.rule import route

HERE = Path(__file__).resolve().parent / "js"


def run_node(node: str, *arguments: str, send: str = "") -> str:
    result = subprocess.run(
        [node, *arguments], input=send, capture_output=True, text=True, encoding="utf-8", cwd=HERE, timeout=120
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.js")), ids=lambda path: path.name)
def test_the_widgets_own_tests_pass_in_node(node, path):
    run_node(node, "--test", str(path))


def random_case(rng: np.random.Generator) -> dict:
    layers, tokens, experts = (int(rng.integers(1, most)) for most in (3, 5, 12))
    logits = rng.normal(size=(layers, tokens, experts)) * rng.choice([0.5, 3.0, 60.0])
    if rng.random() < 0.3:
        logits = np.round(logits)  # many ties
    bias = rng.normal(size=(layers, experts)) * rng.choice([0.0, 0.1, 2.0])
    off = rng.permutation(experts)[: rng.integers(0, experts)] if rng.random() < 0.3 else []
    return {
        "layers": layers,
        "tokens": tokens,
        "experts": experts,
        "logits": logits.astype(np.float32),
        "bias": bias.astype(np.float32),
        "knobs": {
            "topK": int(rng.integers(1, experts - len(off) + 1)),
            "temperature": float(rng.choice([0.1, 0.7, 1.0, 4.0])),
            "scoreFunction": str(rng.choice(["softmax", "sigmoid"])),
            "normalize": bool(rng.random() < 0.5),
            "routeScale": float(rng.choice([1.0, 2.5])),
            "off": [int(expert) for expert in off],
        },
    }


def test_javascript_routes_a_thousand_random_cases_as_python_does(node):
    rng = np.random.default_rng(0)
    cases = [random_case(rng) for _ in range(1000)]
    lists = [{key: value.ravel().tolist() if isinstance(value, np.ndarray) else value for key, value in case.items()}
             for case in cases]  # fmt: skip
    answers = json.loads(run_node(node, "routes.js", send=json.dumps(lists)))
    for case, answer in zip(cases, answers, strict=True):
        knobs = case["knobs"]
        want = route(
            case["logits"],
            case["bias"][:, None],
            knobs["topK"],
            knobs["scoreFunction"],
            knobs["normalize"],
            knobs["routeScale"],
            knobs["temperature"],
            knobs["off"],
        )
        assert np.array_equal(want.experts.ravel(), answer["experts"]), knobs
        assert np.allclose(want.weights.ravel(), answer["weights"], rtol=1e-9, atol=0), knobs
        assert np.allclose(want.scores.ravel(), answer["scores"], rtol=1e-9, atol=0), knobs


def test_experts_have_the_same_color_in_the_browser_and_in_the_still_picture(node):
    script = (
        'import { expertColors } from "../../moe_lessons/widgets/routing_rule.js";'
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
