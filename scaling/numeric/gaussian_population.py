"""Softsign's moments averaged over a Gaussian population, in closed form (T-F3)."""

import numpy as np
import numpy.typing as npt

from scaling.numeric._arrays import FloatArray, Real, as_non_negative
from scaling.numeric._erfc_integrals import scaled_erfc_integrals

#: From here on the difference of Bessel functions is taken from their asymptotic series.
_LARGE = 20.0
_TERMS = 18


def gaussian_softsign(signal: npt.ArrayLike, damping: npt.ArrayLike) -> tuple[Real, Real]:
    """Alignment and second moment of softsign, averaged over gradients drawn from N(0, gamma^2).

    Parameters
    ----------
    signal : array_like
        gamma sqrt(B)/sigma, at least 0, dimensionless.
    damping : array_like
        eps sqrt(B)/sigma, at least 0, broadcast against ``signal``.

    Returns
    -------
    alignment, second_moment : numpy.float64 or ndarray
        E[g softsign]/gamma and E[softsign^2]; NaN for negative or infinite arguments.

    Notes
    -----
    T-F3: a batch gradient is N(0, tau^2) over coordinates and noise together, with
    tau^2 = gamma^2 + sigma^2/B; with r = eps/tau, the regression of g on it gives
    E[g softsign] = (gamma^2/tau) h1(r), and E[softsign^2] = h2(r).

    Examples
    --------
    >>> alignment, second_moment = gaussian_softsign(1.0, 0.0)
    >>> print(f"{alignment:.4f} {second_moment:.4f}")
    0.5642 1.0000
    """
    a, b = as_non_negative(signal, "signal"), as_non_negative(damping, "damping")
    size = np.hypot(a, 1)
    ratio = np.asarray(b / size)
    second_moment, _ = scaled_erfc_integrals(ratio / np.sqrt(2))
    return (a / size * _h1(ratio))[()], second_moment[()]


def _h1(ratio: FloatArray) -> FloatArray:
    """sqrt(2/pi) x (k1e(x) - k0e(x)) at x = r^2/4, without cancellation; 1/r for large r."""
    from scipy.special import k0e, k1e

    x = (ratio / 2) ** 2
    large, zero = x > _LARGE, x == 0
    middle = np.where(large | zero, 1.0, x)
    near = np.where(zero, 1.0, middle * (k1e(middle) - k0e(middle)))
    # DLMF 10.40.2: sqrt(2x/pi) K_nu(x) e^x = sum_k a_k(nu)/x^k.
    series = np.zeros_like(x)
    far = np.where(large, x, 1.0)
    for first, zeroth in reversed(_coefficients()[1:]):
        series = (series + (first - zeroth)) / far
    return np.where(large, np.sqrt(far) * series, np.sqrt(2 / np.pi) * near)


def _coefficients() -> list[tuple[float, float]]:
    """a_k(1) and a_k(0) of DLMF 10.17.1."""
    result = [(1.0, 1.0)]
    for k in range(1, _TERMS + 1):
        odd = (2 * k - 1) ** 2
        first, zeroth = result[-1]
        result.append((first * (4 - odd) / (8 * k), zeroth * -odd / (8 * k)))
    return result
