"""DropView: who finds a slot is the same in the browser, in its still picture and in the package's capacity."""

import re
import warnings

import numpy as np
import pytest
import torch
from in_node import javascript
from traitlets import TraitError

from moe_lessons.model.capacity import RULES, capacity, within_capacity
from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import DropView
from moe_lessons.widgets.drop_view import MOST_TOKENS, lines


def trace(tokens: int = 24, experts: int = 4, top_k: int = 2, texts: int = 2, seed: int = 0) -> RoutingTrace:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, tokens, experts)) + np.linspace(0, 1, experts)  # the last experts are wanted most
    pieces = [f" w{i}" for i in range(tokens - 2)] + ["$", "\n"]
    return RoutingTrace.from_logits(logits, pieces, top_k=top_k, sequence=np.arange(tokens) * texts // tokens)


def in_the_browser(node: str, cases: list[dict]) -> list[dict]:
    expression = """value.map(({ layer, batch, factor, rule }) => {
        const slots = m.slotsFor(rule, factor, batch.length, layer.topK, layer.n);
        const lines = m.linesOf({ ...layer, weights: Float32Array.from(layer.weights) }, batch, rule);
        return { lines, slots, kept: [...m.fatesOf(lines, layer.experts.length, slots)].map((fate) => fate >= 0) };
    })"""
    return javascript(node, "drop_view/rule", expression, cases)


def random_case(rng: np.random.Generator) -> dict:
    tokens, n = int(rng.integers(1, 30)), int(rng.integers(1, 9))
    top_k = int(rng.integers(1, n + 1))
    experts = np.stack([rng.permutation(n)[:top_k] for _ in range(tokens)])
    weights = rng.random((tokens, top_k), dtype=np.float32)
    if rng.random() < 0.5:
        weights = np.round(weights * 3) / 3  # ties
    batch = rng.permutation(tokens)[: rng.integers(1, tokens + 1)]
    layer = {"experts": experts.ravel().tolist(), "weights": weights.ravel().tolist(), "topK": top_k, "n": n}
    factor = float(rng.choice([0.25, 0.3, 0.75, 1.0, 1.1, 1.25, 2.0]))
    return {"layer": layer, "batch": batch.tolist(), "factor": factor, "rule": str(rng.choice(RULES))}


def test_the_browser_the_picture_and_the_package_serve_a_thousand_random_batches_alike(node):
    rng = np.random.default_rng(0)
    cases = [random_case(rng) for _ in range(1000)]
    for case, answer in zip(cases, in_the_browser(node, cases), strict=True):
        layer, batch, rule = case["layer"], np.array(case["batch"]), case["rule"]
        n, top_k = layer["n"], layer["topK"]
        experts = np.array(layer["experts"]).reshape(-1, top_k)
        weights = np.array(layer["weights"], np.float32).reshape(-1, top_k)
        slots = capacity(len(batch), top_k, n, case["factor"])
        kept = np.zeros(experts.shape, bool)
        given = torch.from_numpy(experts[batch]), torch.from_numpy(weights[batch])
        kept[batch] = within_capacity(*given, n, slots, rule).numpy()
        assert rule == "none" or answer["slots"] == slots
        assert answer["kept"] == kept.ravel().tolist()
        drawn = [line.tolist() for line in lines(experts, weights, n, batch, rule)]
        assert drawn == answer["lines"]


def test_it_has_a_still_picture_and_a_repr_that_stays():
    view = DropView(trace(), ["mine", "theirs"], factor=0.75)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, _ = view._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    assert data["text/plain"] == "<DropView: layer 0, capacity factor 0.75, first come; mine, theirs>"
    view.batch, view.rule, view.layer = [1, 0], "none", 1
    assert repr(view) == "<DropView: layer 1, no capacity; theirs, mine>"
    assert view.slots is None
    assert view.figure().get_figwidth() <= 7


def struck_out(figure) -> int:
    """How many pieces the picture strikes out below the limit."""
    return sum(line.get_linewidth() == 0.9 for line in figure.axes[0].lines)


@pytest.mark.parametrize("rule", RULES)
def test_the_still_picture_strikes_out_as_many_as_the_package_drops(rule):
    given = trace()
    view = DropView(given, factor=0.75, rule=rule)
    slots = capacity(given.n_tokens, given.top_k, given.n_experts, 0.75)
    kept = within_capacity(
        torch.from_numpy(given.experts[0]), torch.from_numpy(given.weights[0]), given.n_experts, slots, rule
    )
    assert struck_out(view.figure()) == int((~kept).sum())
    assert sum(len(line) for line in view.lines()) == given.n_tokens * given.top_k


def test_leaving_a_text_out_leaves_its_tokens_out_and_lowers_the_capacity():
    view = DropView(trace())
    whole = view.slots
    view.batch = [1]
    assert view.slots == -(-whole // 2)
    assert {choice // 2 for line in view.lines() for choice in line.tolist()} == set(range(12, 24))


def test_sequences_may_have_any_numbers_and_lengths():
    given = trace(texts=3)
    given.sequence[:] = np.where(np.arange(24) < 5, 7, 3)
    view = DropView(given)
    assert view.facts["names"] == ["text 1", "text 2"]
    assert view.facts["sequence"] == [1] * 5 + [0] * 19
    view.figure()


def test_a_single_slot_is_one_slot():
    assert "; 1 slot an expert: " in DropView(trace(experts=8, top_k=1), factor=0.25).figure().alt


@pytest.mark.parametrize("experts", [1, 64])
def test_one_expert_and_64_can_be_drawn(experts):
    DropView(trace(experts=experts, top_k=1)).figure().draw_without_rendering()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"factor": 0.0}, "factor is 0.0"),
        ({"factor": float("nan")}, "factor is nan"),
        ({"factor": 1e9}, "at most 16"),
        ({"layer": 9}, "layer is 9"),
        ({"batch": []}, "batch is"),
        ({"batch": [0, 0]}, "each once"),
        ({"batch": [0, 5]}, "texts 0 to 1"),
        ({"pinned": 24}, "pinned is 24"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused_in_one_sentence(change, named):
    view = DropView(trace())
    before = repr(view)
    with pytest.raises(ValueError, match=re.escape(named)):
        view.set_trait(*next(iter(change.items())))
    assert repr(view) == before


def test_what_is_no_trace_too_long_or_misnamed_is_refused():
    with pytest.raises(ValueError, match="must be a RoutingTrace"):
        DropView("text")
    with pytest.raises(ValueError, match="the trace has no tokens"):
        DropView(trace(texts=1).select(tokens=[]))
    with pytest.raises(ValueError, match=f"at most {MOST_TOKENS} fit"):
        DropView(trace(tokens=MOST_TOKENS + 1))
    with pytest.raises(ValueError, match="names has 1 entries, but the trace has 2 sequences"):
        DropView(trace(), ["mine"])
    with pytest.raises(TraitError):
        DropView(trace(), rule="fair")
