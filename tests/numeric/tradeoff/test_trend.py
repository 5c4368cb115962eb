"""Power laws across groups: recovery, weights, coverage."""

import numpy as np
import pytest

from scaling import InputError
from scaling.numeric.tradeoff.trend import fit_trend

SIZES = np.geomspace(1e8, 1e10, 6)


def test_exact_power_laws_are_recovered():
    trend = fit_trend(SIZES, 3e-3 * SIZES**0.6, np.full(6, 0.01))
    assert trend.exponent == pytest.approx(0.6, rel=1e-9)
    assert trend.value(1e12) == pytest.approx(3e-3 * 1e12**0.6, rel=1e-9)
    assert trend.scatter == 0
    assert trend.groups == 6
    assert trend.covariate_range == (1e8, 1e10)
    low, high = trend.exponent_interval()
    assert high - low < 1e-9


def test_equal_variances_are_ordinary_least_squares():
    rng = np.random.default_rng(1)
    y = 0.5 * np.log(SIZES) + rng.normal(size=6)
    trend = fit_trend(SIZES, np.exp(y), np.full(6, 1e-4))
    design = np.stack([np.ones(6), np.log(SIZES)], axis=-1)
    (constant, slope), (rest,), *_ = np.linalg.lstsq(design, y)
    covariance = rest / 4 * np.linalg.inv(design.T @ design)
    assert trend.exponent == pytest.approx(slope)
    assert trend.value(1e9) == pytest.approx(np.exp(constant + slope * np.log(1e9)))
    student = 2.7764451051977987  # of 4 degrees of freedom, at 97.5 %
    assert trend.exponent_interval()[1] - slope == pytest.approx(student * covariance[1, 1] ** 0.5)
    # What the groups' own errors do not explain is scatter between them.
    assert trend.scatter**2 == pytest.approx(rest / 4 - 1e-4)
    at = np.array([1, np.log(3e10)])
    half = student * np.sqrt(at @ covariance @ at + trend.scatter**2)
    low, high = trend.interval(3e10)
    assert np.log(high / low) == pytest.approx(2 * half)


def test_what_is_uncertain_counts_less():
    values = 2000 * (SIZES / 1e9) ** 0.5
    values[-1] *= 10
    variance = np.full(6, 1e-4)
    variance[-1] = 10.0
    assert fit_trend(SIZES, values, variance).exponent == pytest.approx(0.5, abs=0.01)


def test_corners():
    assert fit_trend([1e9], [100], [0.1]) is None
    assert fit_trend([1e9, 1e9], [100, 200], [0.1, 0.1]) is None
    assert fit_trend([], [], []) is None
    assert fit_trend([1e8, 1e9, np.nan], [0, 100, 200], [0.1] * 3) is None
    two = fit_trend([1e8, 1e9, 1e10], [100, np.inf, 10000], [0.1, 0.1, 0.1])
    assert (two.exponent, two.groups) == (pytest.approx(1), 2)
    assert two.exponent_interval() is None
    assert two.interval(1e9) is None
    assert np.isnan(two.value(-1.0))
    three = fit_trend([1e8, 1e9, 1e10], [100, 1000, 5000], [0.1, 0.1, 0.1])
    assert three.interval([1e8, 1e9])[0].shape == (2,)
    with pytest.raises(InputError, match="between 0 and 1"):
        three.interval(1e9, level=2)


@pytest.mark.parametrize("scatter", [0.0, 0.05, 0.2])
def test_intervals_hold_the_truth_as_often_as_they_say(scatter):
    rng = np.random.default_rng(3)
    tables, held = 1000, np.zeros(2)
    for _ in range(tables):
        error = 0.07
        logs = 0.5 * np.log(SIZES) + np.hypot(scatter, error) * rng.normal(size=6)
        new = 0.5 * np.log(3e10) + scatter * rng.normal()
        trend = fit_trend(SIZES, np.exp(logs), np.full(6, error**2))
        bounds = [trend.exponent_interval(0.9), np.log(trend.interval(3e10, 0.9))]
        held += [low <= v <= high for (low, high), v in zip(bounds, (0.5, new), strict=True)]
    # Scatter that is small beside the errors is sometimes taken for none: hence a little less.
    assert np.all(np.abs(held / tables - 0.89) < 0.035), held / tables
