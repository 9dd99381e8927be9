"""Times are taken side by side: the same number of calls for each, in an order that turns."""

import gc
import time

import pytest

from moe_lessons.benchmark.timing import Timing, interleaved


def test_each_function_is_called_once_a_round_and_the_first_place_goes_around():
    calls = []
    interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, rounds=4, warmup=1)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"


def test_the_quartiles_are_those_of_the_clock(monkeypatch):
    clock = {"now": 0.0}
    steps = iter([1.0, 2.0, 3.0, 4.0, 5.0])

    def work():
        clock["now"] += next(steps)

    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])
    assert interleaved({"work": work}, rounds=5, warmup=0) == {"work": Timing(median=3.0, low=2.0, high=4.0)}


def test_one_round_is_its_own_quartiles_and_nothing_to_time_is_nothing():
    timing = interleaved({"nothing": lambda: None}, rounds=1)["nothing"]
    assert timing.low == timing.median == timing.high > 0
    assert interleaved({}) == {}


def test_the_collector_of_garbage_is_left_as_it_was_even_after_an_error():
    def fail():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        interleaved({"fail": fail}, warmup=0)
    assert gc.isenabled()


@pytest.mark.parametrize(("bad", "named"), [({"rounds": 0}, "rounds is 0"), ({"warmup": -1}, "warmup is -1")])
def test_numbers_that_make_no_sense_are_refused_in_one_sentence(bad, named):
    with pytest.raises(ValueError, match=named):
        interleaved({"nothing": lambda: None}, **bad)
