"""T-F3 against mpmath's quadrature of its definition."""

import mpmath
import numpy as np
import pytest

from scaling.numeric.moments.gaussian_population import h1, h2


@pytest.mark.parametrize("r", [1e-6, 0.01, 0.5, 1.0, 7.0, 59.0, 61.0, 1e3, 1e6])
def test_against_quadrature(r):
    with mpmath.workdps(30):
        nodes = [0, min(r, 0.5), 1, 3, 10, 40]
        first = 2 * mpmath.quad(lambda x: x**2 / mpmath.sqrt(x**2 + r**2) * mpmath.npdf(x), nodes)
        second = 2 * mpmath.quad(lambda x: x**2 / (x**2 + r**2) * mpmath.npdf(x), nodes)
    assert h1(r) == pytest.approx(float(first), rel=1e-11)
    assert h2(r) == pytest.approx(float(second), rel=1e-11)


def test_without_eps_it_is_the_sign_law():
    assert h1(0.0) == pytest.approx(np.sqrt(2 / np.pi))
    assert h2(0.0) == 1


def test_malformed():
    assert np.isnan(h1([-1.0, np.nan, np.inf])).all()
    assert np.isnan(h2([-1.0, np.nan, np.inf])).all()
