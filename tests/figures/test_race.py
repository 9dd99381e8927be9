"""Runs of two models against what they used up: where the second passes the first, and what the picture shows."""

import pytest

from moe_lessons.figures.race import Course, crossing, draw_race, mean_course


def course(x, loss):
    return Course({"seconds": x, "tokens": [1000 * place for place in x]}, loss)


def test_the_crossing_lies_on_the_lines_between_the_points():
    leader, follower = course([0, 10, 20], [4.0, 3.0, 2.8]), course([0, 10, 20], [4.2, 3.1, 2.7])
    assert crossing(leader, follower, "seconds") == pytest.approx(15)
    assert crossing(leader, follower, "tokens") == pytest.approx(15_000)


def test_only_the_last_crossing_counts_and_none_where_the_follower_ends_behind():
    leader = course([0, 10, 20, 30], [4.0, 3.0, 2.0, 1.5])
    assert crossing(leader, course([0, 10, 20, 30], [4.1, 2.9, 2.1, 1.4]), "seconds") == pytest.approx(25)
    assert crossing(leader, course([0, 10, 20, 30], [3.9, 2.9, 1.9, 1.6]), "seconds") is None
    assert crossing(leader, course([0, 10, 20, 30], [3.9, 2.9, 1.9, 1.4]), "seconds") == 0


def test_runs_with_points_at_other_places_are_compared_where_both_have_been():
    leader, follower = course([0, 40], [4.0, 2.0]), course([5, 15, 20], [4.5, 3.0, 2.5])
    assert crossing(leader, follower, "seconds") == pytest.approx(5 + 10 * 0.75 / 1.0)


def test_the_mean_run_is_taken_at_equal_shares_of_the_way():
    mean = mean_course([course([0, 10], [4.0, 2.0]), course([0, 15, 30], [5.0, 3.0, 2.0])])
    assert mean.loss == [4.5, 2.0] and list(mean.used["seconds"]) == [0, 20]


def test_each_panel_has_every_run_and_a_line_where_the_models_cross():
    leader, follower = course([0, 10, 20], [4.0, 3.0, 2.8]), course([0, 10, 20], [4.2, 3.1, 2.7])
    figure = draw_race(
        {"dense": [leader, leader], "sparse": [follower]}, "A race", {"seconds": "s", "tokens": "tokens"}
    )
    for axis, at in zip(figure.axes, (15, 15_000), strict=True):
        assert len(axis.lines) == 4 and axis.lines[-1].get_xdata()[0] == pytest.approx(at)
