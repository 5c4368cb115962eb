"""The epsilon at which the surge ends, and exact laws against brute force."""

import numpy as np
import pytest

from scaling import GradientStatistics, Recipe, TransferLaw
from scaling.numeric.laws.law import bisect

EXACT = [
    (moments, population)
    for moments in ("exact-softsign", "exact-adam", "exact-adam-inside")
    for population in ("uniform", "gaussian")
]


def law(moments, population="uniform", *, ratio=1.0, beta1=None, eps=0.0, **more):
    return TransferLaw(
        Recipe(1e-3, 100.0, eps=eps, beta1=beta1),
        GradientStatistics(1000.0, 2.0, ratio),
        moments=moments,
        population=population,
        horizon=1,
        **more,
    )


@pytest.mark.parametrize(("ratio", "beta1"), [(1.0, 0.9), (5.0, 0.5), (3.0, 0.0), (2.5, 0.1)])
def test_end_of_the_surge_where_it_has_a_closed_form(ratio, beta1):
    # rho = R0 nu^2/c = 2 (T-E3) with eps inside; outside, expanding T-E7 for large batches gives
    # R0 = 2c (1 + eps/gamma).
    c = (1 - beta1) / (1 + beta1)
    inside = law("mean-field", ratio=ratio, beta1=beta1).surge_end
    assert inside == pytest.approx(2.0 * np.sqrt(ratio / (2 * c) - 1), rel=1e-7)
    outside = law("mean-field-outside", ratio=ratio, beta1=beta1).surge_end
    assert outside == pytest.approx(2.0 * (ratio / (2 * c) - 1), rel=1e-7)


def test_no_end_where_there_is_no_surge_and_no_eps():
    assert law("mean-field", beta1=0.2).surge_end == 0
    assert law("exact-adam", beta1=0.2).surge_end == 0
    assert law("sign-isru").surge_end is None
    without_size = TransferLaw(Recipe(1e-3, 100.0), GradientStatistics(1000.0))
    assert without_size.surge_end is None


@pytest.mark.parametrize(("moments", "population"), EXACT)
def test_the_peak_disappears_at_the_end_of_the_surge(moments, population):
    arguments = {"ratio": 4.0} if moments == "exact-softsign" else {"beta1": 0.8}
    end = law(moments, population, **arguments).surge_end
    assert 0 < end < np.inf
    assert law(moments, population, eps=0.97 * end, **arguments).peak is not None
    assert law(moments, population, eps=1.03 * end, **arguments).peak is None


@pytest.mark.parametrize(("moments", "population"), EXACT)
@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_peak_inverse_and_limits_by_brute_force(moments, population, eps):
    arguments = {"ratio": 4.0} if moments == "exact-softsign" else {"beta1": 0.9}
    here = law(moments, population, eps=eps, **arguments)
    batch = np.geomspace(1e-2, 1e7, 200_001 if moments == "exact-softsign" else 40_001)
    rates = here.learning_rate(batch)
    top = rates.argmax()
    assert here.peak.learning_rate == pytest.approx(rates[top], rel=1e-6)
    assert here.peak.batch_size == pytest.approx(batch[top], rel=2e-2)
    target = 0.9 * rates[top]
    crossings = np.flatnonzero(np.diff(np.sign(rates - target)))
    np.testing.assert_allclose(here.batch_sizes(target), batch[crossings], rtol=2e-3)
    # What B_n and B_crit are defined by: the limits of the learning rate and of the cost.
    tiny, huge = 1e-9, 1e13
    assert here.learning_rate(huge) == pytest.approx(here.learning_rate_limit, rel=1e-4)
    expected = here.learning_rate_limit * np.sqrt(here.noise_batch_size * tiny)
    expected /= here.critical_batch_size
    assert here.learning_rate(tiny) == pytest.approx(expected, rel=1e-4)
    assert here.examples_factor(tiny) == pytest.approx(1, rel=1e-4)
    assert here.steps_factor(huge) == pytest.approx(1, rel=1e-4)


def test_exact_laws_at_eps_0_are_the_closed_forms_where_those_are_exact():
    # T-F3: for a Gaussian population at eps = 0 the mean-field law with lambda = 1 is exact.
    exact = law("exact-softsign", "gaussian")
    plain = law("mean-field", beta1=0.0)
    batch = np.geomspace(1e-3, 1e8, 50)
    np.testing.assert_allclose(exact.learning_rate(batch), plain.learning_rate(batch), rtol=1e-12)
    assert exact.noise_batch_size == pytest.approx(plain.noise_batch_size)
    assert exact.critical_batch_size == pytest.approx(plain.critical_batch_size)


@pytest.mark.parametrize("moments", ["mean-field-outside", "exact-adam", "exact-softsign"])
def test_gaussian_population_is_a_sum_over_drawn_gradients(moments):
    # Quantiles of the half-normal distribution stand for its draws.
    from scipy.stats import norm

    from scaling import update_moments

    g = norm.ppf((1 + (np.arange(4000) + 0.5) / 4000) / 2)
    statistics = GradientStatistics(1000.0, 1.0, 3.0)
    here = TransferLaw(
        Recipe(1e-3, 100.0, eps=0.1),
        statistics,
        moments=moments,
        population="gaussian",
        horizon=1,
    )
    batch = np.array([3.0, 100.0, 5000.0])
    a = np.sqrt(batch / 1000)[:, None]
    mean, square = update_moments(a * g, a * 0.1, moments=moments)
    expected = (mean * g).mean(axis=1)
    expected /= square.mean(axis=1) + (3.0 - 1) * mean.mean(axis=1) ** 2
    found = here.learning_rate(batch)
    np.testing.assert_allclose(found / found[1], expected / expected[1], rtol=2e-4)


def test_other_decay_rates_than_the_recipe_s():
    here = law("exact-adam", beta1=0.9)
    there = law("exact-adam", beta1=0.9, beta2=0.9)
    assert here.at(beta2=0.9).learning_rate(50.0) == pytest.approx(there.learning_rate(50.0))
    assert here.learning_rate(100.0) == pytest.approx(1e-3)
    assert there.learning_rate(100.0) != pytest.approx(1e-3, rel=1e-6)


def test_step_enters():
    first, tenth = (law("exact-adam", step=step) for step in (1, 10))
    assert first.learning_rate(1000.0) != pytest.approx(tenth.learning_rate(1000.0), rel=1e-3)
    assert tenth.assumptions()[2]["step"] == 10


@pytest.mark.parametrize("falls", [False, True])
def test_bisection_finds_the_change_of_sign(falls):
    found = bisect(lambda x: (x**3 - 2) * (-1) ** falls, 0.0, 5.0, falls=falls)
    assert found == pytest.approx(2 ** (1 / 3), rel=1e-15)
