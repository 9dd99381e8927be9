"""What the ledger reads from recorded runs: leads in races for equal seconds, and what settings brought."""

import json
import statistics

import pytest

from moe_lessons.ledger import runs
from moe_lessons.resources import data_path


def a_race(seconds: float, dense: float, sparse: float) -> dict:
    ends = {"dense": dense, "sparse": sparse}
    return {
        "seconds": seconds,
        "runs": {arm: {"held_out": [[1, 1.0, 9.0], [2, seconds, end]]} for arm, end in ends.items()},
    }


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Two races of 75 seconds and one of 10, in the place of the shipped record."""
    races = [a_race(75.0, 2.5, 2.75), a_race(10.0, 4.0, 3.5), a_race(75.0, 2.25, 2.25)]
    path = tmp_path / "clock.json"
    path.write_text(json.dumps({"races": races}), encoding="utf-8")
    monkeypatch.setattr(runs, "data_path", lambda name: path if name == "studies/clock.json" else data_path(name))


@pytest.mark.usefixtures("kept")
def test_a_lead_is_the_mean_of_the_pairs_last_differences_the_shortest_races_first():
    assert list(runs.leads_by_clock().items()) == [(10.0, 0.5), (75.0, -0.125)]


@pytest.mark.usefixtures("kept")
def test_settings_are_compared_in_equal_seconds_even_where_a_race_was_shorter():
    usual = runs.record("clock-dense")
    loss = statistics.mean(loss for domain, loss in usual["evaluations"][-1].items() if domain != "step")
    seconds, gained = runs.gained_by_settings()
    assert seconds == usual["train"]["seconds"] == 75
    assert gained == pytest.approx(loss - (2.5 + 2.25) / 2)


def test_the_same_model_on_half_of_the_tokens_takes_half_of_the_arithmetic():
    (half, _), (whole, _) = (runs.spent(name) for name in ("course-moe-half", "course-moe"))
    tokens = [runs.record(name)["tokens"] for name in ("course-moe-half", "course-moe")]
    assert half / whole == pytest.approx(tokens[0] / tokens[1])
