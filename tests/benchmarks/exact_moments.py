"""Exact moments against what a user would do instead: scipy's quad, or Monte Carlo.

All in one run, per value. quad integrates the same integrals (T-F1, T-F4) to the accuracy asked of
it; Adam's sums over lags are given to it as vectorised as NumPy makes them. Monte Carlo is a
literal, vectorised Adam, timed on few paths and reckoned up to the paths that a standard error of
1e-3 of the mean takes.
"""

import math
import sys
import time
import warnings

import numpy as np
from scipy.integrate import IntegrationWarning, quad
from scipy.special import erfcx

from scaling import update_moments

RNG = np.random.default_rng(7)
BETA1, BETA2 = 0.9, 0.999
GRID = np.geomspace(1e-3, 1e3, 2000)


def seconds(function, repeats=3):
    """Best time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def softsign_by_quad(a, b):
    """T-F1, cut where the integrand has become negligible."""
    end = min(1.0, 9 / math.hypot(a, b)) if a or b else 1.0

    def integrand(u):
        left = 1 - u * u
        return math.exp(-(a * a + b * b / left) * u * u / 2) if left > 0 else 0.0

    return (
        a * math.sqrt(2 / math.pi) * quad(integrand, 0, end, epsabs=0, epsrel=1e-12, limit=200)[0]
    )


LAGS = np.arange(int(36 / -math.log(BETA2)))
C, W = (1 - BETA1) * BETA1**LAGS, (1 - BETA2) * BETA2**LAGS


def adam_by_quad(a, b):
    """T-F4 in log tau."""

    def integrand(y):
        tau = math.exp(y)
        d = 1 + 2 * tau * W
        kept = math.exp(-np.log(d).sum() / 2 - a * a * (tau * W / d).sum())
        kernel = 1 / math.sqrt(math.pi * tau) - b * erfcx(b * math.sqrt(tau))
        return tau * kernel * kept * a * (C / d).sum()

    middle = -2 * math.log(max(a, b, 1.0))
    return quad(integrand, middle - 50, 6, points=[middle], epsabs=0, epsrel=1e-10, limit=200)[0]


def adam_paths(a, b, count):
    """Updates of a literal Adam after so many steps that its averages are stationary."""
    m = v = np.zeros(count)
    for _ in range(int(7 / (1 - BETA2))):
        gradient = a + RNG.standard_normal(count)
        m = BETA1 * m + (1 - BETA1) * gradient
        v = BETA2 * v + (1 - BETA2) * gradient**2
    return m / (np.sqrt(v) + b)


def report(name, measured, bound):
    """Print a line; return whether it is fast enough."""
    print(
        f"{name:<58} {measured:12,.0f} x (at least {bound:,})",
        "ok" if measured >= bound else "TOO SLOW",
    )
    return measured >= bound


if __name__ == "__main__":
    warnings.simplefilter("ignore", IntegrationWarning)
    results = []
    for model, other, some, accuracy in (
        ("exact-softsign", softsign_by_quad, 200, 1e-11),
        ("exact-adam", adam_by_quad, 10, 1e-9),
    ):
        ours = seconds(lambda model=model: update_moments(GRID[:, None], GRID, moments=model))
        ours /= GRID.size**2
        points = 10 ** RNG.uniform(-3, 3, (some, 2))
        start = time.perf_counter()
        found = [other(*point) for point in points]
        theirs = (time.perf_counter() - start) / some
        exact = update_moments(*points.T, moments=model).mean
        agree = np.abs(found / exact - 1).max()
        print(f"{model}: {1e9 * ours:.1f} ns a value (both moments), quad {1e6 * theirs:.0f} us;")
        print(f"  largest difference {agree:.1e}")
        results += [report(f"quad / {model}", theirs / ours, 5000), agree < accuracy]
    a, b, count = 0.5, 0.5, 2000
    start = time.perf_counter()
    updates = adam_paths(a, b, count)
    spent = time.perf_counter() - start
    needed = (updates.std() / (1e-3 * abs(updates.mean()))) ** 2
    results.append(report("Monte Carlo / exact-adam", spent * needed / count / ours, 100_000))
    sys.exit(not all(results))
