"""Fits that find the law they were made from, and frontiers against a slow definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.accounting.power_law import UNIT, PowerLaw, fit_power_law, frontier, resampled_fits

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
    noisy = LAW.at(COMPUTE) * (1 + 0.01 * np.random.default_rng(0).normal(size=len(COMPUTE)))
    at_end = [fit.at(COMPUTE[-1]) for fit in resampled_fits(COMPUTE, noisy, n=100)]
    low, high = np.quantile(at_end, [0.02, 0.98])
    assert low < LAW.at(COMPUTE[-1]) < high
    assert len(at_end) == 100
