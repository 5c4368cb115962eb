"""Closed forms against values that this package did not compute."""

import math

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from scaling.symbolic import derivation
from scaling.symbolic.exact.kernels import mean_kernel, square_kernel
from scaling.symbolic.exact.quadrature import float_moments, formula_average
from scaling.symbolic.exact.weights import first_sum, second_sum, tilt

DERIVATION = derivation()
PAIRS = [(0.1, 0.01), (1, 1), (0.5, 3), (3, 0.3), (-0.7, 0.2), (1e-6, 1e-4), (8, 20)]


def expectation(function, a, b):
    """E[function(x, b)] for x ~ N(a, 1), by quadrature at 50 digits."""
    a, b = mpmath.mpf(a), mpmath.mpf(b)
    cuts = sorted({a - 17, a + 17, a, *(c for c in (-b, mpmath.mpf(0), b) if abs(c - a) < 17)})
    return mpmath.quad(lambda x: function(x, b) * mpmath.npdf(x, a, 1), cuts)


def clip(x, b):
    return max(mpmath.mpf(-1), min(mpmath.mpf(1), x / b))


def softsign(x, b):
    return x / mpmath.sqrt(x * x + b * b)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("step", "update", "power"),
    [("B3", clip, 1), ("B6", clip, 2), ("F2", softsign, 2), ("F1", softsign, 1)],
)
def test_moments_at_50_digits(step, update, power, pair):
    value = DERIVATION.step(step).function("mpmath")(*pair)
    with mpmath.workdps(50):
        reference = expectation(lambda x, b: update(x, b) ** power, *pair)
        assert abs(value - reference) <= abs(reference) * mpmath.mpf(10) ** -25


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((0.1, 0.01), 0.0796363900094),
        ((1, 1), 0.513467200424),
        ((0.5, 3), 0.144973694142),
        ((3, 0.3), 0.988486646943),
    ],
)
def test_the_checked_values_of_the_mean(pair, expected):
    value = DERIVATION.step("F1").function("mpmath")(*pair)
    assert float(value) == pytest.approx(expected, abs=5e-13)


def test_the_checked_value_of_the_second_moment():
    assert DERIVATION.step("F2").function()(1.0, 1.0) == pytest.approx(0.479137564099, abs=5e-13)


def test_the_mean_of_the_sign_by_monte_carlo():
    draws = np.sign(0.3 + np.random.default_rng(7).standard_normal(400_000))
    standard_error = draws.std() / math.sqrt(draws.size)
    assert abs(DERIVATION.step("A5").function()(0.3) - draws.mean()) < 4 * standard_error


@pytest.mark.parametrize("power", [1, 2])
def test_the_population_moments_by_quadrature(power):
    name = {1: "F3.numerator", 2: "F3.denominator"}[power]
    for r in (0.01, 0.3, 2.0, 9.0):
        reference, _ = scipy.integrate.quad(
            lambda y, r=r: 2 * y**2 / (y**2 + r**2) ** (power / 2) * scipy.stats.norm.pdf(y),
            0,
            40,
            epsabs=0,
            epsrel=1e-12,
            points=[r, 1],
            limit=200,
        )
        assert DERIVATION.step(name).function()(r) == pytest.approx(reference, rel=1e-9)


def run_adam(rng, a, b, decays, *, steps, runs):
    """Adam as in the papers: moving averages from 0, bias correction, epsilon outside."""
    beta1, beta2 = decays
    m = np.zeros(runs)
    v = np.zeros(runs)
    for _ in range(steps):
        gradient = a + rng.standard_normal(runs)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
    m_hat = m / (1 - beta1**steps)
    v_hat = v / (1 - beta2**steps)
    return m_hat / (np.sqrt(v_hat) + b)


@pytest.mark.parametrize(
    ("a", "b", "decays", "steps"),
    [(0.5, 0.5, (0.9, 0.99), 5), (2.0, 0.1, (0.5, 0.9), 3), (1.0, 2.0, (0.9, 0.95), 1)],
)
def test_adam_against_its_simulation(a, b, decays, steps):
    phi = run_adam(np.random.default_rng(11), a, b, decays, steps=steps, runs=400_000)
    mean = float(formula_average(mean_kernel() * tilt() * first_sum(), a, b, decays, steps))
    square = float(formula_average(square_kernel() * tilt() * second_sum(), a, b, decays, steps))
    root = math.sqrt(phi.size)
    assert abs(phi.mean() - mean) < 4 * phi.std() / root
    assert abs((phi**2).mean() - square) < 4 * (phi**2).std() / root


def stationary_adam(power, a, b, beta1, beta2):
    """E[phi^power] at t = infinity: F4's kernels by the trapezoidal rule in log t'."""
    kernel = DERIVATION.step({1: "F4.K1", 2: "F4.K2"}[power]).function()
    age = np.arange(4000)
    c, w = (1 - beta1) * beta1**age, (1 - beta2) * beta2**age
    node = np.exp(np.linspace(-40, 25, 1301))
    wide = 1 + 2 * np.outer(node, w)
    tilt = np.exp(-np.log(wide).sum(1) / 2 - a**2 * node * (w / wide).sum(1))
    mean = a * (c / wide).sum(1)
    moment = mean if power == 1 else mean**2 + (c**2 / wide).sum(1)
    return np.trapezoid(kernel(b, node) * tilt * moment * node, np.log(node))


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.5, 0.5, 0.9, 0.99), (0.30807, 0.11407)),
        ((1.0, 2.0, 0.9, 0.95), (0.29187, 0.08863)),
        ((2.0, 0.1, 0.5, 0.9), (0.85251, 0.76936)),
    ],
)
def test_the_checked_values_of_adam(point, expected):
    for power, value in zip((1, 2), expected, strict=True):
        assert stationary_adam(power, *point) == pytest.approx(value, abs=6e-6)


def test_stationary_adam_with_epsilon_inside_against_its_simulation():
    rng = np.random.default_rng(5)
    a, b, beta1, beta2 = 0.5, 0.5, 0.9, 0.95
    m, v = np.zeros(60_000), np.zeros(60_000)
    for _ in range(500):
        gradient = a + rng.standard_normal(m.size)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
    phi = m / np.sqrt(v + b**2)
    moment = float_moments(beta1, beta2)
    for power in (1, 2):
        sample = phi**power
        assert abs(moment(a, b, power) - sample.mean()) < 4 * sample.std() / math.sqrt(m.size)


def test_the_error_of_the_working_forms_on_a_dense_grid():
    """The measured maxima, found again without this package's search."""
    a, b = np.meshgrid(np.logspace(-2, 2, 400), np.logspace(-2, 2, 400))
    z = (b - 1j * a) / np.sqrt(2)
    exact = 1 - b * np.sqrt(np.pi / 2) * scipy.special.erfcx(z).real
    for step, approximation in (
        ("B7", 1 - b**2 / (a**2 + b**2 + np.pi / 2)),
        ("C1.second", (a**2 + 1) / (a**2 + b**2 + 1)),
    ):
        maximum = np.abs(approximation - exact).max()
        assert DERIVATION.step(step).error().value == pytest.approx(maximum, rel=1e-3)
