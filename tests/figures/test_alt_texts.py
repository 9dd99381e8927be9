"""Every function that draws a figure gives it an alt text that says what it shows."""

import inspect
from importlib import import_module

import numpy as np
import pytest
from places import PACKAGE

from moe_lessons.accounting import Kept
from moe_lessons.figures import (
    arms,
    at_work,
    budget,
    capacity,
    charts,
    cost,
    keys,
    lesson_00,
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
    lesson_10,
    lesson_11,
    lesson_12,
    lesson_13,
    lesson_15,
    lesson_16,
    lesson_17,
    loads,
    placement,
    plane,
    race,
    routing,
    speculation,
    training,
)
from moe_lessons.figures.alt_text import MOST, describe
from moe_lessons.tracing.trace import RoutingTrace
from moe_lessons.widgets import (
    attention_view,
    context_view,
    prediction_view,
    quiz,
    sampling_view,
    slots_view,
    streams_view,
    token_view,
)

RNG = np.random.default_rng(0)
PIECES = [" one", " two", "3", "$4", "\n", "é"]
SCORES = RNG.dirichlet(np.ones(8), 6)
BEST = np.argsort(-SCORES, axis=1)[:, :2]
LOADS = RNG.integers(1, 40, (2, 4))
TITLE = "What is seen"
ASKED = {"key": "05.a", "ask": "What does it cost?", "measure": "loss", "kind": "slider", "low": 0, "high": 1, "log": 0}


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


def some_race() -> race.Race:
    ends = {"dense": 3.0, "sparse": 2.9}
    return {name: [race.Course({"seconds": [5, 10]}, [4.0, end])] for name, end in ends.items()}


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
    "lesson_02.draw_query": lambda: lesson_02.draw_query(["a", "b"], np.eye(2), np.ones(2), np.array([0.4, 0.6])),
    "lesson_02.draw_saturation": lambda: lesson_02.draw_saturation([2, 4], {"plain": [0.5, 0.9]}, 8),
    "lesson_02.draw_influence": lambda: lesson_02.draw_influence({"masked": np.array([0, 1.0, 0.5])}, 1),
    "lesson_02.draw_turns": lambda: lesson_02.draw_turns({"fast": np.array([[1, 0], [0, 1.0]])}),
    "lesson_02.draw_distance": lambda: lesson_02.draw_distance(np.arange(3), {"here": np.array([3.0, 1, 2])}),
    "lesson_02.draw_cache": lambda: lesson_02.draw_cache({"8 heads": 64, "2 heads": 16}, "KiB", TITLE),
    "lesson_02.draw_habits": lambda: lesson_02.draw_habits(
        {"trained": np.array([[0.1, 0.2]])}, {"trained": np.array([[0.3, 0.1]])}, "on itself", "on the first", "trained"
    ),
    "lesson_08.draw_over_steps": lambda: lesson_08.draw_over_steps(TWO, TITLE, "nats"),
    "lesson_08.draw_alone": lambda: lesson_08.draw_alone({"a": np.array([10, 90])}, {"a": np.array([3.0, 2])}, TITLE),
    "lesson_08.draw_push": lambda: lesson_08.draw_push(SCORES[0], SCORES[1], SCORES[0] - SCORES[1]),
    "lesson_08.draw_choices": lambda: lesson_08.draw_choices(SCORES, PIECES, {"tokens choose": SCORES > 0.15}),
    "lesson_03.draw_plan": lesson_03.draw_plan,
    "charts.draw_by_layer": lambda: charts.draw_by_layer(BY_NAME, TITLE, "size"),
    "lesson_03.draw_contributions": lambda: lesson_03.draw_contributions([1.0, 2], [2.0, 3], [1.0, 2, 4]),
    "budget.draw_budget": lambda: budget.draw_budget(
        [budget.Slice(0, "attention", 10, 10, 20), budget.Slice(None, "head", 5, 5, 10)], 1, TITLE
    ),
    "capacity.draw_slots": lambda: capacity.draw_slots(
        PIECES, [("a text", range(6))], [np.arange(6), np.arange(6, 12)], 2, 4, TITLE
    ),
    "lesson_06.draw_waste": lambda: lesson_06.draw_waste([1, 2], {"mixed": [0.2, 0]}, {"mixed": [0.1, 0.5]}, TITLE),
    "context_view.draw_context": lambda: context_view.picture.draw_context(
        [context_view.picture.CacheCurve("ours", Kept(1000), 1e9, 2**15)], {"8 GB": 8e9}, 2**14, title=TITLE
    ),
    "cost.draw_cost": lambda: cost.draw_cost(
        {"bf16": (2e9, 1e9)}, "bf16", 8e9, [1, 2], {"memory": [1.0, 2], "arithmetic": [3.0, 3]}, (1, 1.0), TITLE
    ),
    "lesson_12.draw_ranges": lambda: lesson_12.draw_ranges({"ours": (1, 2, 4)}, TITLE, "million USD"),
    "lesson_12.draw_laws": lambda: lesson_12.draw_laws(
        {"dense": ([1, 10], [3.0, 2])}, {"dense": ([1, 10], [2.0, 1], [3.0, 2], [4.0, 3])}, {}, TITLE
    ),
    "lesson_06.draw_dispatch": lambda: lesson_06.draw_dispatch(PIECES, BEST, 8, TITLE),
    "lesson_06.draw_send": lambda: lesson_06.draw_send(np.eye(6, 8), 4, PIECES, TITLE),
    "charts.draw_ratios": lambda: charts.draw_ratios({"loop": (3, 2, 4), "dense": (1, 1, 1)}, "dense", TITLE),
    "charts.draw_sweep": lambda: charts.draw_sweep([1, 2], BY_NAME, TITLE, "experts"),
    "lesson_03.draw_gate": lambda: lesson_03.draw_gate(PIECES, RNG.normal(size=(6, 5))),
    "lesson_09.draw_cut": lambda: lesson_09.draw_cut({"coarse": lesson_09.Widths(4, 8, [0])}, TITLE),
    "charts.draw_seeds": lambda: charts.draw_seeds(BY_NAME, TITLE, "nats"),
    "lesson_09.draw_sizes": lambda: lesson_09.draw_sizes([1, 2], BY_NAME, TITLE, "ratio"),
    "lesson_09.draw_groups": lambda: lesson_09.draw_groups(SCORES[0], 4, [0, 1], [0, 5], [0, 1], TITLE),
    "lesson_09.draw_machines": lambda: lesson_09.draw_machines({"free": [0.25, 0.75], "limited": [1.0, 0]}, TITLE),
    "arms.draw_layer_kinds": lambda: arms.draw_layer_kinds(
        {"sparse": ["table", "learned"], "dense": ["dense", "learned"]}, BY_NAME, TITLE, "nats"
    ),
    "arms.draw_trials": lambda: arms.draw_trials(BY_NAME, BY_NAME, TITLE, "nats"),
    "lesson_13.draw_load_map": lambda: lesson_13.draw_load_map(LOADS, TITLE),
    "lesson_13.draw_trade": lambda: lesson_13.draw_trade(
        {"routers": [(0.5, 0.0), (1.0, 0.2)]}, TITLE, "learned", "forgotten"
    ),
    "lesson_10.draw_kept": lambda: lesson_10.draw_kept({"multi-head": 4, "latent": (2, 0.5)}, 4, TITLE),
    "lesson_10.draw_orders": lambda: lesson_10.draw_orders(4, 8, 16, 32),
    "lesson_10.draw_folds": lambda: lesson_10.draw_folds([0, 1], BY_NAME, TITLE),
    "lesson_10.draw_crossing": lambda: lesson_10.draw_crossing([1, 2], {"counted": ([1, 2], [0.5, 2])}, TITLE, "ratio"),
    "loads.draw_loads": some_loads,
    "lesson_04.draw_costs": lambda: lesson_04.draw_costs(PIECES[:2], [2.0, 1], ["dice", "form"], TITLE),
    "lesson_04.draw_above_floor": lambda: lesson_04.draw_above_floor({"json": 1.2}, {"json": 1.0}, "nats", TITLE),
    "charts.draw_curves": lambda: charts.draw_curves(TWO, TITLE, "steps", "nats"),
    "charts.draw_by_group": lambda: charts.draw_by_group({"1": {"+": 1.0}, "2": {"+": 2.0}}, TITLE, "nats"),
    "lesson_01.draw_merging": lambda: lesson_01.draw_merging([["a", "b"], ["ab"]], ["bytes", "1 merge"]),
    "lesson_01.draw_vocabulary": lambda: lesson_01.draw_vocabulary(TWO, TITLE, "pieces", "bytes"),
    "lesson_01.draw_origins": lambda: lesson_01.draw_origins(["a", "b"], [[0.25, 0.75], [1, 0]], ["json", "german"]),
    "lesson_07.draw_mixture": lambda: lesson_07.draw_mixture(" one", SCORES[0], BEST[0], np.array([0.6, 0.4])),
    "charts.draw_bars": lambda: charts.draw_bars({"trained": {"json": 0.5, "german": 0.25}}, TITLE),
    "lesson_05.draw_heights": lambda: lesson_05.draw_heights({"right": plane.grid(1, 20)[:, 0]}, 1),
    "plane.draw_planes": lambda: plane.draw_planes([some_run()], 1, moments=[0, 1]),
    "prediction_view.draw_predictions": lambda: prediction_view.picture.draw_predictions(
        [ASKED], {"05.a": {"answer": 0.5, "shown": "0.5"}}, {"05.a": {"place": 0.97, "shown": "0.97"}}
    ),
    "quiz.draw_quiz": lambda: quiz.picture.draw_quiz(TITLE, QUESTIONS),
    "lesson_05.draw_pull": lambda: lesson_05.draw_pull({"soft": np.array([0.1, -0.2])}, {"soft": np.array([0, 1])}),
    "lesson_05.draw_luck": lambda: lesson_05.draw_luck({"soft": np.array([0.1, 0.2])}, {"soft": np.array([0, 1])}),
    "routing.draw_routing": lambda: routing.draw_routing(some_trace()),
    "sampling_view.draw_sampling": lambda: sampling_view.picture.draw_sampling(
        SCORES[0], SCORES[0], [f"w{i}" for i in range(8)], title=TITLE
    ),
    "lesson_11.draw_overlap": lambda: lesson_11.draw_overlap(SCORES[0], SCORES[1], [f"w{i}" for i in range(8)], TITLE),
    "speculation.draw_passes": lambda: speculation.draw_passes([speculation.Pass("a text", ["a", "b"], 1, "c")], TITLE),
    "lesson_00.draw_same_words": lambda: lesson_00.draw_same_words(BEST.T[:, None], ["json", "german"], PIECES, [0], 8),
    "lesson_00.draw_shares": lambda: lesson_00.draw_shares({"json": LOADS / LOADS.sum(axis=1, keepdims=True)}, [0, 1]),
    "lesson_00.draw_strips": lambda: lesson_00.draw_strips(
        {"ours": (25, 100), "theirs": (5, 100)}, {"theirs": "claimed"}
    ),
    "charts.draw_changes": lambda: charts.draw_changes({"without 1": {"json": 0.5, "german": -0.25}}, TITLE),
    "lesson_07.draw_importance": lambda: lesson_07.draw_importance(
        SCORES[:2, :3], SCORES[2:4, :3], ["json", "german"], TITLE
    ),
    "slots_view.draw_shelf": lambda: slots_view.picture.draw_shelf(
        BEST, [np.array([0]), *[np.array([], int)] * 5], PIECES, TITLE
    ),
    "token_view.draw_tokens": lambda: token_view.picture.draw_tokens(PIECES, TITLE, {"json": 2.5}),
    "race.draw_race": lambda: race.draw_race(some_race(), TITLE, {"seconds": "seconds"}),
    "race.draw_gaps": lambda: race.draw_gaps({"a minute": some_race()}, TITLE, {"seconds": "seconds"}),
    "placement.draw_placement": lambda: placement.draw_placement(np.array([[0, 1], [2, 0]]), LOADS[:, :2], TITLE),
    "keys.draw_reach": lambda: keys.draw_reach([keys.Band("sparse", [(4, 6)], [(0, 2)], "2 tokens")], 5, TITLE),
    "lesson_16.draw_index": lambda: lesson_16.draw_index(RNG.normal(size=(2, 6)), np.arange(6) < 2, PIECES, TITLE),
    "lesson_16.draw_lengths": lambda: lesson_16.draw_lengths({"full": ([1024, 4096], [1.0, 4])}, TITLE, "bytes"),
    "lesson_15.draw_journeys": lambda: lesson_15.draw_journeys(BEST, np.arange(6) // 3, PIECES, 8, 2, TITLE),
    "lesson_15.draw_traffic": lambda: lesson_15.draw_traffic(
        RNG.integers(1, 9, (2, 3, 3)), ["layer 0", "layer 1"], TITLE
    ),
    "lesson_17.draw_layers": lambda: lesson_17.draw_layers(
        {
            "old": [lesson_17.LayerPart("attention", "2 heads", False)],
            "new": [lesson_17.LayerPart("window", "8", True)],
        },
        {"old": 1, "new": 4},
        TITLE,
    ),
    "lesson_17.draw_sinkhorn": lambda: lesson_17.draw_sinkhorn({"before": np.eye(4) + 0.5, "after": np.eye(4)}, TITLE),
    "streams_view.draw_streams": lambda: streams_view.picture.draw_streams(np.eye(4), np.ones((9, 4)), TITLE),
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
    assert sum(sign.isdigit() for sign in text) >= (name != "lesson_03.draw_plan"), (
        "a number is what the eye would take along"
    )
