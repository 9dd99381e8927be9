"""Every function that draws a figure gives it an alt text that says what it shows."""

import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from moe_lessons.figures import (
    at_work,
    attention_steps,
    balance,
    block,
    budget,
    capacity,
    cost,
    dispatch,
    gate,
    granularity,
    groups,
    inside,
    latent,
    loads,
    loss,
    merges,
    mixture,
    plane,
    routing,
    speculation,
    start,
    steering,
    traffic,
    training,
)
from moe_lessons.figures.alt_text import MOST, describe
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets import attention_view, context_view, quiz, sampling_view, token_view

PACKAGE = Path(loads.__file__).parent.parent
RNG = np.random.default_rng(0)
PIECES = [" one", " two", "3", "$4", "\n", "é"]
SCORES = RNG.dirichlet(np.ones(8), 6)
BEST = np.argsort(-SCORES, axis=1)[:, :2]
LOADS = RNG.integers(1, 40, (2, 4))
TITLE = "What is seen"


def some_run(name: str = "soft", moments: int = 2) -> plane.PlaneRun:
    weights = RNG.normal(size=(2, moments, 3, 3)).astype(np.float32)
    return plane.PlaneRun(name, np.arange(moments) * 10, weights[0], weights[1], np.linspace(2, 1, moments), 1)


def some_trace() -> RoutingTrace:
    logits = RNG.normal(size=(2, 6, 4)).astype(np.float32)
    return RoutingTrace.from_logits(logits, PIECES, top_k=2)


def some_loads():
    curve = loads.LoadCurve(
        "bias", np.arange(5), np.linspace(3, 2, 5), RNG.uniform(1, 9, (5, 2, 4)).astype(np.float32), np.zeros(0, int),
        np.zeros((0, 0, 0, 0), int),
    )  # fmt: skip
    return loads.draw_loads([curve], title=TITLE)


QUESTIONS = [{"ask": "Is it `so`?", "options": [{"text": "yes"}, {"text": "no"}]}]
TWO = {"sparse": ([1, 2, 3], [3.0, 2.0, 2.5]), "dense": ([1, 2, 3], [4.0, 3.0, 2.75])}
BY_NAME = {"sparse": [3.0, 2.0], "dense": [4.0, 3.5]}
SAMPLES = {
    "at_work.draw_at_work": lambda: at_work.draw_at_work(
        {"attention": at_work.Held(10, 10), "experts": at_work.Held(90, 9)}, TITLE
    ),
    "at_work.draw_models": lambda: at_work.draw_models({"ours": at_work.Held(1000, 100)}, TITLE),
    "attention_view.draw_attention": lambda: attention_view.picture.draw_attention(
        PIECES[:3], np.tri(3)[None, None] / [[1], [2], [3]]
    ),
    "attention_steps.draw_query": lambda: attention_steps.draw_query(
        ["a", "b"], np.eye(2), np.ones(2), np.array([0.4, 0.6])
    ),
    "attention_steps.draw_saturation": lambda: attention_steps.draw_saturation([2, 4], {"plain": [0.5, 0.9]}, 8),
    "attention_steps.draw_influence": lambda: attention_steps.draw_influence({"masked": np.array([0, 1.0, 0.5])}, 1),
    "attention_steps.draw_turns": lambda: attention_steps.draw_turns({"fast": np.array([[1, 0], [0, 1.0]])}),
    "attention_steps.draw_distance": lambda: attention_steps.draw_distance(
        np.arange(3), {"here": np.array([3.0, 1, 2])}
    ),
    "attention_steps.draw_cache": lambda: attention_steps.draw_cache({"8 heads": 64, "2 heads": 16}, "KiB", TITLE),
    "attention_steps.draw_habits": lambda: attention_steps.draw_habits(
        {"trained": np.array([[0.1, 0.2]])}, {"trained": np.array([[0.3, 0.1]])}, "on itself", "on the first", "trained"
    ),
    "balance.draw_over_steps": lambda: balance.draw_over_steps(TWO, TITLE, "nats"),
    "balance.draw_alone": lambda: balance.draw_alone({"a": np.array([10, 90])}, {"a": np.array([3.0, 2])}, TITLE),
    "balance.draw_push": lambda: balance.draw_push(SCORES[0], SCORES[1], SCORES[0] - SCORES[1]),
    "balance.draw_choices": lambda: balance.draw_choices(SCORES, PIECES, {"tokens choose": SCORES > 0.15}),
    "block.draw_plan": block.draw_plan,
    "block.draw_by_layer": lambda: block.draw_by_layer(BY_NAME, TITLE, "size"),
    "block.draw_contributions": lambda: block.draw_contributions([1.0, 2], [2.0, 3], [1.0, 2, 4]),
    "budget.draw_budget": lambda: budget.draw_budget(
        [budget.Slice(0, "attention", 10, 10, 20), budget.Slice(None, "head", 5, 5, 10)], 1, TITLE
    ),
    "capacity.draw_slots": lambda: capacity.draw_slots(
        PIECES, [("a text", range(6))], [np.arange(6), np.arange(6, 12)], 2, 4, TITLE
    ),
    "capacity.draw_waste": lambda: capacity.draw_waste([1, 2], {"mixed": [0.2, 0]}, {"mixed": [0.1, 0.5]}, TITLE),
    "context_view.draw_context": lambda: context_view.picture.draw_context(
        [context_view.picture.CacheCurve("ours", 1000, 1e9, 2**15)], {"8 GB": 8e9}, 2**14, title=TITLE
    ),
    "cost.draw_cost": lambda: cost.draw_cost(
        {"bf16": (2e9, 1e9)}, "bf16", 8e9, [1, 2], {"memory": [1.0, 2], "arithmetic": [3.0, 3]}, (1, 1.0), TITLE
    ),
    "cost.draw_ranges": lambda: cost.draw_ranges({"ours": (1, 2, 4)}, TITLE, "million USD"),
    "cost.draw_laws": lambda: cost.draw_laws(
        {"dense": ([1, 10], [3.0, 2])}, {"dense": ([1, 10], [2.0, 1], [3.0, 2], [4.0, 3])}, {}, TITLE
    ),
    "dispatch.draw_dispatch": lambda: dispatch.draw_dispatch(PIECES, BEST, 8, TITLE),
    "dispatch.draw_send": lambda: dispatch.draw_send(np.eye(6, 8), 4, PIECES, TITLE),
    "dispatch.draw_ratios": lambda: dispatch.draw_ratios({"loop": (3, 2, 4), "dense": (1, 1, 1)}, "dense", TITLE),
    "dispatch.draw_curves": lambda: dispatch.draw_curves([1, 2], BY_NAME, TITLE, "experts"),
    "gate.draw_gate": lambda: gate.draw_gate(PIECES, RNG.normal(size=(6, 5))),
    "granularity.draw_cut": lambda: granularity.draw_cut({"coarse": granularity.Widths(4, 8, [0])}, TITLE),
    "granularity.draw_seeds": lambda: granularity.draw_seeds(BY_NAME, TITLE, "nats"),
    "granularity.draw_sizes": lambda: granularity.draw_sizes([1, 2], BY_NAME, TITLE, "ratio"),
    "groups.draw_groups": lambda: groups.draw_groups(SCORES[0], 4, [0, 1], [0, 5], [0, 1], TITLE),
    "groups.draw_machines": lambda: groups.draw_machines({"free": [0.25, 0.75], "limited": [1.0, 0]}, TITLE),
    "inside.draw_load_map": lambda: inside.draw_load_map(LOADS, TITLE),
    "latent.draw_kept": lambda: latent.draw_kept({"multi-head": 4, "latent": (2, 0.5)}, 4, TITLE),
    "latent.draw_orders": lambda: latent.draw_orders(4, 8, 16, 32),
    "latent.draw_folds": lambda: latent.draw_folds([0, 1], BY_NAME, TITLE),
    "latent.draw_crossing": lambda: latent.draw_crossing([1, 2], {"counted": ([1, 2], [0.5, 2])}, TITLE, "ratio"),
    "loads.draw_loads": some_loads,
    "loss.draw_costs": lambda: loss.draw_costs(PIECES[:2], [2.0, 1], ["dice", "form"], TITLE),
    "loss.draw_above_floor": lambda: loss.draw_above_floor({"json": 1.2}, {"json": 1.0}, "nats", TITLE),
    "loss.draw_curves": lambda: loss.draw_curves(TWO, TITLE, "steps", "nats"),
    "loss.draw_groups": lambda: loss.draw_groups({"1": {"+": 1.0}, "2": {"+": 2.0}}, TITLE, "nats"),
    "merges.draw_merging": lambda: merges.draw_merging([["a", "b"], ["ab"]], ["bytes", "1 merge"]),
    "merges.draw_vocabulary": lambda: merges.draw_vocabulary(TWO, TITLE, "pieces", "bytes"),
    "merges.draw_origins": lambda: merges.draw_origins(["a", "b"], [[0.25, 0.75], [1, 0]], ["json", "german"]),
    "mixture.draw_mixture": lambda: mixture.draw_mixture(" one", SCORES[0], BEST[0], np.array([0.6, 0.4])),
    "mixture.draw_bars": lambda: mixture.draw_bars({"trained": {"json": 0.5, "german": 0.25}}, TITLE),
    "plane.draw_heights": lambda: plane.draw_heights({"right": plane.grid(1, 20)[:, 0]}, 1),
    "plane.draw_planes": lambda: plane.draw_planes([some_run()], 1, moments=[0, 1]),
    "plane.draw_pull": lambda: plane.draw_pull({"soft": np.array([0.1, -0.2])}, {"soft": np.array([0, 1])}),
    "plane.draw_luck": lambda: plane.draw_luck({"soft": np.array([0.1, 0.2])}, {"soft": np.array([0, 1])}),
    "quiz.draw_quiz": lambda: quiz.picture.draw_quiz(TITLE, QUESTIONS),
    "routing.draw_routing": lambda: routing.draw_routing(some_trace()),
    "sampling_view.draw_sampling": lambda: sampling_view.picture.draw_sampling(
        SCORES[0], SCORES[0], [f"w{i}" for i in range(8)], title=TITLE
    ),
    "speculation.draw_overlap": lambda: speculation.draw_overlap(
        SCORES[0], SCORES[1], [f"w{i}" for i in range(8)], TITLE
    ),
    "speculation.draw_passes": lambda: speculation.draw_passes([speculation.Pass("a text", ["a", "b"], 1, "c")], TITLE),
    "start.draw_same_words": lambda: start.draw_same_words(BEST.T[:, None], ["json", "german"], PIECES, [0], 8),
    "start.draw_loads": lambda: start.draw_loads({"json": LOADS / LOADS.sum(axis=1, keepdims=True)}, [0, 1]),
    "start.draw_at_work": lambda: start.draw_at_work({"ours": (25, 100), "theirs": (5, 100)}, {"theirs": "claimed"}),
    "steering.draw_changes": lambda: steering.draw_changes({"without 1": {"json": 0.5, "german": -0.25}}, TITLE),
    "steering.draw_importance": lambda: steering.draw_importance(
        SCORES[:2, :3], SCORES[2:4, :3], ["json", "german"], TITLE
    ),
    "token_view.draw_tokens": lambda: token_view.picture.draw_tokens(PIECES, TITLE, {"json": 2.5}),
    "traffic.draw_journeys": lambda: traffic.draw_journeys(BEST, np.arange(6) // 3, PIECES, 8, 2, TITLE),
    "traffic.draw_traffic": lambda: traffic.draw_traffic(RNG.integers(1, 9, (2, 3, 3)), ["layer 0", "layer 1"], TITLE),
    "training.draw_training": lambda: training.draw_training(
        [training.Curve("moe", [[1, 1, 3.0, 10, 1], [2, 2, 2.0, 20, 1]], [])], title=TITLE
    ),
}


def drawings():
    """Each module that draws, by the name that SAMPLES has for it: a topic, or the widget whose still picture it is."""
    figures = {path.stem: f"figures.{path.stem}" for path in (PACKAGE / "figures").glob("*.py")}
    widgets = {path.parent.name: f"widgets.{path.parent.name}.picture" for path in PACKAGE.glob("widgets/*/picture.py")}
    return {name: import_module(f"moe_lessons.{module}") for name, module in sorted((figures | widgets).items())}


def every_drawing():
    for topic, module in drawings().items():
        for name, function in inspect.getmembers(module, inspect.isfunction):
            made_here = function.__module__ == module.__name__
            if made_here and name.startswith("draw_") and name != "draw_counts":  # which draws samples, no picture
                yield f"{topic}.{name}"


def test_no_drawing_is_left_out_here():
    assert sorted(every_drawing()) == sorted(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_drawing_says_what_it_shows(name):
    module, function = name.split(".")
    text = describe(SAMPLES[name]())
    assert 40 < len(text) <= MOST, text
    takes = inspect.signature(getattr(drawings()[module], function)).parameters
    if "title" in takes and name != "routing.draw_routing":  # whose sentence is its title
        assert TITLE in text, text
    assert sum(sign.isdigit() for sign in text) >= (name != "block.draw_plan"), (
        "a number is what the eye would take along"
    )
