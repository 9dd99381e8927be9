"""The doctor's speed test, and what it says about the lessons' times."""

import pytest
import torch
from broken import without_gpu

from moe_lessons.checkup import speed
from moe_lessons.checkup.check import REINSTALL


def test_the_speed_test_keeps_its_budget_by_the_first_round(monkeypatch):
    from moe_lessons.benchmark import training_speed
    from moe_lessons.benchmark.timing import Timing

    asked = []

    def compare(rounds, device):
        asked.append(rounds)
        step = Timing(0.2, 0.2, 0.2)
        return {kind: training_speed.Training(kind, step, 1000, 1.0) for kind in ("dense", "moe")}

    monkeypatch.setattr(training_speed, "compare", compare)
    assert speed.tokens_per_second() == {"dense": pytest.approx(5000), "moe": pytest.approx(5000)}
    assert asked[0] == 1 and 20 <= asked[1] <= 25
    asked.clear()
    speed.tokens_per_second(budget=0.1)
    assert asked == [1]


def times(**seconds: float) -> speed.LessonTimes:
    return speed.LessonTimes({}, {"dense": 20_000.0, "moe": 10_000.0}, seconds, {})


@without_gpu
def test_lesson_times_are_expected_from_the_speed(monkeypatch):
    monkeypatch.setattr(speed, "read_times", lambda: times(**{"00_a": 10.0, "07_b": 60.0}))
    monkeypatch.setattr(speed, "tokens_per_second", lambda: {"dense": 10_000.0, "moe": 5_000.0})
    check = speed.check_speed()
    assert "10,000 tokens a second dense, 5,000 sparse" in check.found
    assert "2.0 times the seconds" in check.found and "at most 120 s (lesson 07)" in check.found
    assert check.remedy == "" and check.numbers["longest_lesson_seconds"] == 120
    monkeypatch.setattr(speed, "tokens_per_second", lambda: {"dense": 1_000.0, "moe": 500.0})
    assert "plug the machine in" in speed.check_speed().remedy


def test_without_lesson_times_the_speed_stands_alone(monkeypatch):
    def missing():
        raise FileNotFoundError("data/times.toml")

    monkeypatch.setattr(speed, "read_times", missing)
    monkeypatch.setattr(speed, "tokens_per_second", lambda: {"dense": 10_000.0, "moe": 5_000.0})
    assert speed.check_speed().found.endswith("sparse") or torch.cuda.is_available()
    monkeypatch.setattr(speed, "tokens_per_second", lambda: (_ for _ in ()).throw(RuntimeError("no\nkernel")))
    assert speed.check_speed() == ("speed", "not measured: no", REINSTALL, {})
