"""Writing beside Hugging Face's: each with the threads that are best for it."""

import pytest
import torch

from moe_lessons.benchmark import generation_speed, tables
from moe_lessons.benchmark.generation_speed import Generation, with_threads
from moe_lessons.benchmark.timing import Timing

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def same(seconds: float) -> Timing:
    return Timing(seconds, seconds, seconds)


@pytest.mark.usefixtures("two_threads")
def test_each_way_is_timed_with_one_thread_and_with_all_and_keeps_the_better():
    pytest.importorskip("transformers")
    found = generation_speed.compare(1, CPU, quick=True)
    assert set(found.timings) == {"dense", "dense, Hugging Face", "moe", "moe, Hugging Face"}
    assert found.same_text is True
    for name, timing in found.timings.items():
        assert {found.threads[name], *found.others[name]} == {1, 2}
        assert all(timing.median <= other.median for other in found.others[name].values())
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_afterwards_there_are_as_many_threads_as_before_errors_included():
    assert with_threads(1, torch.get_num_threads) == 1
    with pytest.raises(ZeroDivisionError):
        with_threads(1, lambda: 1 / 0)
    assert torch.get_num_threads() == 2


def test_the_best_of_ours_is_compared_with_the_best_of_theirs():
    timings = {"dense": same(0.5), "dense, Hugging Face": same(1.25), "moe": same(1.0)}
    found = Generation(timings, 100, None, {}, dict.fromkeys(timings, 1), {name: {} for name in timings})
    assert found.tokens_per_second("dense") == 200
    assert found.times_as_fast("dense") == 2.5
    assert found.times_as_fast("moe") is None
    lines = tables.generation_lines(found)
    assert lines[-1] == "dense: 2.50 times as fast as Hugging Face, best against best"
    assert lines[2].split() == ["dense", "1", "200", "5.00", "(5.00-5.00)"]
