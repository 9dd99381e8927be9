"""Fits that find the law they were made from, and frontiers against a slow definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.accounting.power_law import UNIT, PowerLaw, fit_power_law, frontier, resampled_fits, seed_spread

LAW = PowerLaw(0.9, 2.5, 0.3)
COMPUTE = UNIT * np.geomspace(0.1, 60, 9)


def test_a_law_is_found_again_from_its_points():
    for floor in (None, LAW.floor):
        found = fit_power_law(COMPUTE, LAW.at(COMPUTE), floor)
        np.testing.assert_allclose(found.at(COMPUTE), LAW.at(COMPUTE), rtol=3e-3)
        assert found.exponent == pytest.approx(LAW.exponent, rel=0.02)
    assert LAW.needs(float(LAW.at(3e13))) == pytest.approx(3e13)
    assert LAW.needs(0.9) == np.inf


def test_a_floor_is_never_below_zero():
    falling = 5 - np.log10(COMPUTE / UNIT)  # straight over the logarithm: a power law would want a negative floor
    assert fit_power_law(COMPUTE, falling).floor >= 0


def test_too_few_runs_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="there are 2 different amounts of compute, but 3 numbers to find; measure"):
        fit_power_law(COMPUTE[:2], LAW.at(COMPUTE[:2]))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_frontier_holds_those_whom_nobody_beats(runs):
    compute, loss = zip(*runs, strict=True)
    kept = {runs[run] for run in frontier(compute, loss)}
    unbeaten = {
        (c, each)
        for c, each in runs
        if not any((d <= c and other < each) or (d < c and other <= each) for d, other in runs)
    }
    assert kept == unbeaten


def test_resampling_surrounds_the_law_that_noise_hides():
    rng = np.random.default_rng(0)
    runs = LAW.at(COMPUTE) * np.exp(0.01 * rng.normal(size=(40, len(COMPUTE))))
    spread = seed_spread(runs.T)
    assert spread == pytest.approx(0.01, rel=0.2)
    at_end = [fit.at(COMPUTE[-1]) for fit in resampled_fits(COMPUTE, runs[0], spread, n=100)]
    low, high = np.quantile(at_end, [0.02, 0.98])
    assert low < LAW.at(COMPUTE[-1]) < high
    assert len(at_end) == 100


def test_groups_of_one_say_nothing_about_the_spread():
    assert seed_spread([[1.0, 1.0], [5.0], [2.0, 2.0]]) == 0
    assert seed_spread([[1.0, np.e], [9.0]]) == pytest.approx(2**-0.5)
