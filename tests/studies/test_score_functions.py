"""The study of score functions: all are tuned alike, on a seed that is not compared."""

import json
from collections import Counter

import pytest
from tiny_run import sums

from moe_lessons.resources import data_path
from moe_lessons.studies.score_functions import FUNCTIONS, GRID, TRIAL, best_rates, measure, missing, trials
from moe_lessons.text.own_text import text_corpus


def tried(losses):
    return [
        {"arm": arm, **rates._asdict(), "seed": TRIAL, "mean": losses[arm][place]}
        for arm in FUNCTIONS
        for place, rates in enumerate(GRID)
    ]


def test_every_score_function_is_tried_at_the_same_rates_on_the_trial_seed():
    wanted = trials([])
    assert Counter(arm for arm, _, _ in wanted) == dict.fromkeys(FUNCTIONS, len(GRID))
    for function in FUNCTIONS:
        assert {rates for arm, rates, _ in wanted if arm == function} == set(GRID)
    assert {seed for _, _, seed in wanted} == {TRIAL}


def test_the_best_trial_runs_on_seeds_that_chose_nothing_and_on_no_others():
    losses = {arm: [3.0] * len(GRID) for arm in FUNCTIONS}
    for place, arm in enumerate(FUNCTIONS):
        losses[arm][place] = 2.0
    runs = tried(losses)
    runs.append(runs[0] | {"seed": 0, "mean": 0.0})  # the first one's best, on a fresh seed
    runs.append(runs[1] | {"seed": 1, "mean": 0.0})  # of a fresh seed, too: it has no say in what is best
    assert best_rates(runs) == {arm: GRID[place] for place, arm in enumerate(FUNCTIONS)}
    assert trials(runs) == []
    assert missing(runs, 1) == [(arm, GRID[place], 0) for place, arm in enumerate(FUNCTIONS)][1:]


@pytest.mark.usefixtures("threads")
def test_a_run_says_what_it_was_and_functions_differ(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    corpus = text_corpus(sums(tmp_path), vocab_size=300)
    runs = [measure(arm, GRID[-1], 3, 7, corpus) for arm in FUNCTIONS]
    assert [run["arm"] for run in runs] == list(FUNCTIONS)
    assert {(run["lr"], run["bias_rate"], run["seed"], run["steps"]) for run in runs} == {(*GRID[-1], 7, 3)}
    assert len({run["mean"] for run in runs}) == len(FUNCTIONS)


def test_the_shipped_record_is_whole():
    runs = json.loads(data_path("studies/score-functions.json").read_text(encoding="utf-8"))["runs"]
    assert trials(runs) == [] and missing(runs, 3) == [] and len({run["steps"] for run in runs}) == 1
