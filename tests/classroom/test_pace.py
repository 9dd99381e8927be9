"""Pace: a burst, then a few a second, for each learner."""

from moe_lessons.classroom.pace import Pace


def test_a_burst_passes_then_as_many_as_seconds_give_and_others_are_not_held_up():
    now = [0.0]
    pace = Pace(burst=5, a_second=2, clock=lambda: now[0])
    assert [pace.allows("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert pace.allows("b")
    now[0] += 1.0
    assert [pace.allows("a") for _ in range(3)] == [True, True, False]
    now[0] += 1000.0
    assert sum(pace.allows("a") for _ in range(20)) == 5
