"""Densities against SciPy and brute-force integration."""

import numpy as np
import pytest
from scipy import integrate, stats

from scaling.numeric.inference.likelihood import Cells, student_cdf

OPTIMUM = np.array([0.1, -0.4, 0.9, 0.3, -0.2])
BELOW = np.array([0.1, 0.3, np.inf, 0.2, 0.1])
ABOVE = np.array([0.2, 0.3, 0.1, np.inf, 0.5])
LAW = np.array([0.0, 0.2, 1.0, -0.6, 0.1])
CELLS = Cells(OPTIMUM, BELOW, ABOVE, np.ones(5), np.array([0, 3]))
SCATTER, GROUP = 0.25, 0.4


def density(i, law):
    """Two-piece Student's t, or its tail for a bound."""
    low, high = np.hypot(SCATTER, BELOW[i]), np.hypot(SCATTER, ABOVE[i])
    away = law - OPTIMUM[i]
    if np.isinf(low):
        return stats.t.sf(away / high, 5)
    if np.isinf(high):
        return stats.t.cdf(away / low, 5)
    return stats.t.pdf(away / (high if away > 0 else low), 5) * 2 / (low + high)


def test_student_cdf():
    t = np.array([-1e4, -150.0, -99.0, -3.0, -0.1, 0.0, 2.0, 1e3])
    assert student_cdf(t) == pytest.approx(stats.t.cdf(t, 5), rel=1e-6)


def test_densities():
    expected = sum(np.log(density(i, LAW[i])) for i in range(5))
    found = CELLS.log_likelihood(LAW[None], np.array([SCATTER]), None)
    assert found == pytest.approx([expected], abs=1e-10)


def test_effects_of_groups_are_integrated_out():
    def group(rows):
        def integrand(u):
            return stats.norm.pdf(u, 0, GROUP) * np.prod([density(i, LAW[i] + u) for i in rows])

        return integrate.quad(integrand, -5, 5, limit=200)[0]

    expected = np.log(group([0, 1, 2])) + np.log(group([3, 4]))
    found = CELLS.log_likelihood(LAW[None], np.array([SCATTER]), np.array([GROUP]))
    assert found == pytest.approx([expected], abs=0.03)


def test_draws_of_effects_follow_their_density():
    size = 20_000
    law, ones = np.tile(LAW, (size, 1)), np.ones(size)
    drawn = CELLS.draw_groups(law, SCATTER * ones, GROUP * ones, np.random.default_rng(0))[:, 0]
    u = np.linspace(-3, 3, 2001)
    weight = stats.norm.pdf(u, 0, GROUP)
    weight = weight * np.prod([[density(i, LAW[i] + x) for x in u] for i in range(3)], axis=0)
    mean = np.average(u, weights=weight)
    spread = np.sqrt(np.average((u - mean) ** 2, weights=weight))
    assert drawn.mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(size) + 0.01 * spread)
    assert drawn.std() == pytest.approx(spread, rel=0.04)


def test_counts_are_repetitions():
    twice = Cells(*(np.repeat(x, 2) for x in (OPTIMUM, BELOW, ABOVE, np.ones(5))), np.array([0]))
    counted = Cells(OPTIMUM, BELOW, ABOVE, np.full(5, 2.0), np.array([0]))
    rows = np.repeat(LAW, 2)[None]
    scatter = np.array([SCATTER])
    assert counted.log_likelihood(LAW[None], scatter, scatter) == pytest.approx(
        twice.log_likelihood(rows, scatter, scatter), abs=1e-9
    )
