"""Pairs of runs against what they used up: how far apart they are, where one passes the other, what is drawn."""

import numpy as np
import pytest

from moe_lessons.figures.race import Course, Gap, ahead_from, draw_gaps, draw_race, gaps, mean_gap, used_until

UNITS = {"seconds": "s", "tokens": "tokens"}


def course(x, loss):
    return Course({"seconds": x, "tokens": [1000 * place for place in x]}, loss)


def falling(x, level=0.0, rate=0.5):
    """A loss that is a straight line over the logarithm of the seconds."""
    return course(x, [level + 4 - rate * float(np.log(place)) for place in x])


def test_runs_that_have_their_points_elsewhere_differ_by_what_lies_between_their_lines():
    dense, sparse = falling([5, 20, 40]), falling([8, 11, 30], level=-0.1)
    (gap,) = gaps({"dense": [dense], "sparse": [sparse]}, "seconds")
    assert gap.used == [8, 11, 20, 30]
    assert gap.loss == pytest.approx([-0.1] * 4)


def test_at_their_common_points_runs_differ_by_their_losses_and_each_pair_by_its_own():
    dense = [course([10, 20], [4.0, 3.0]), course([10, 20, 30], [5.0, 4.0, 3.0])]
    sparse = [course([10, 20], [4.5, 2.5]), course([10, 20, 30], [5.0, 3.75, 3.25])]
    race = {"dense": dense, "sparse": sparse}
    assert gaps(race, "seconds") == [Gap([10, 20], [0.5, -0.5]), Gap([10, 20, 30], [0.0, -0.25, 0.25])]
    assert mean_gap(race, "seconds") == Gap([10, 20], [0.25, -0.375])
    assert mean_gap(race, "tokens").used == [10_000, 20_000]


def test_a_pair_whose_runs_are_swapped_has_the_opposite_gap():
    one, other = falling([5, 9, 20]), falling([6, 15, 18], rate=0.4)
    (gap,), (turned,) = (gaps({"a": [a], "b": [b]}, "seconds") for a, b in ((one, other), (other, one)))
    assert gap.used == turned.used and gap.loss == pytest.approx([-loss for loss in turned.loss])


def test_only_the_last_crossing_counts_and_none_where_the_second_ends_behind():
    assert ahead_from(Gap([10, 20, 40, 80], [0.1, -0.1, 0.1, -0.1])) == pytest.approx(np.sqrt(40 * 80))
    assert ahead_from(Gap([10, 20, 40, 80], [-0.1, -0.1, -0.1, 0.1])) is None
    assert ahead_from(Gap([10, 20, 40, 80], [-0.1, 0.1, 0.0, -0.1])) == pytest.approx(40)
    assert ahead_from(Gap([10, 20], [-0.1, -0.1])) == 10
    assert ahead_from(Gap([10, 20], [-0.1, 0.0])) is None
    assert ahead_from(Gap([], [])) is None


def test_a_loss_is_reached_where_the_line_between_two_points_comes_down_to_it():
    run = falling([5, 10, 40])
    assert used_until(run, 4 - 0.5 * np.log(20), "seconds") == pytest.approx(20)
    assert used_until(run, run.loss[1], "tokens") == pytest.approx(10_000)
    assert used_until(run, 9.0, "seconds") == 5
    assert used_until(run, 0.1, "seconds") is None


def test_runs_that_are_not_in_pairs_are_refused():
    with pytest.raises(ValueError, match="2 runs of one model and 1 of the other; give it pairs"):
        gaps({"dense": [falling([1, 2])] * 2, "sparse": [falling([1, 2])]}, "seconds")


def test_each_panel_has_every_run_and_a_line_where_the_mean_of_the_pairs_gets_ahead():
    leader, follower = course([5, 10, 20], [4.0, 3.0, 2.8]), course([5, 10, 20], [4.2, 3.1, 2.7])
    figure = draw_race({"dense": [leader] * 2, "sparse": [follower] * 2}, "A race", UNITS)
    for axis, at in zip(figure.axes, (10 * 2**0.5, 10_000 * 2**0.5), strict=True):
        assert len(axis.lines) == 5 and axis.lines[-1].get_xdata()[0] == pytest.approx(at)
    behind = draw_race({"sparse": [follower], "dense": [leader]}, "A race", UNITS)
    assert all(len(axis.lines) == 2 for axis in behind.axes)


def test_gaps_are_drawn_pair_by_pair_with_their_mean_and_a_word_on_who_is_ahead():
    dense = [falling([5, 10, 20, 40]), falling([5, 10, 20, 40], level=0.2)]
    sparse = [course(run.used["seconds"], [loss + d for loss, d in zip(run.loss, (0.3, 0.1, -0.1, -0.2), strict=True)])
              for run in dense]  # fmt: skip
    races = {"won": {"dense": dense, "sparse": sparse}, "lost": {"dense": sparse, "sparse": dense}}
    figure = draw_gaps(races, "Title", UNITS)
    won, lost = figure.axes[:2], figure.axes[2:]
    for axis in (*won, *lost):
        zero, *pairs, mean = axis.lines if axis in lost else axis.lines[:-1]
        assert list(zero.get_ydata()) == [0, 0] and len(pairs) == 2
        assert mean.get_ydata() == pytest.approx(np.mean([line.get_ydata() for line in pairs], axis=0))
    assert won[0].lines[-1].get_xdata()[0] == pytest.approx(10 * 2**0.5)
    assert won[0].get_title(loc="left") == "sparse ahead from 14.1 on"
    assert {axis.get_title(loc="left") for axis in lost} == {"sparse not ahead at the end"}
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", *UNITS.values()]
    assert "won: -0.200, from 14.1; -0.200, from 14,142. lost: +0.200, not ahead; +0.200, not ahead." in figure.alt
