"""A Gaussian population of coordinates, in closed form (T-F3).

g_i ~ N(0, gamma^2), equal noise sigma, diagonal Hessian: lr* ~ (gamma^2/tau) h1(r)/h2(r) with
tau^2 = gamma^2 + sigma^2/B and r = eps/tau. The sums themselves are those of softsign by
`scaling.numeric.moments.exact_adam.ExactUpdate.gaussian_average`, to 2e-15.
"""

import numpy as np
import numpy.typing as npt

from scaling.numeric.inputs.arrays import Real, as_non_negative
from scaling.numeric.moments.erfc_integrals import scaled_erfc_integrals

#: From here on the difference of Bessel functions is taken from their asymptotic series.
_LARGE = 20.0
_TERMS = 18


def h1(r: npt.ArrayLike) -> Real:
    """E[x softsign(x, r)] for x ~ N(0, 1): h1 of T-F3, sqrt(2/pi) at 0 and 1/r for large r.

    Parameters
    ----------
    r : array_like
        eps/tau, at least 0.

    Returns
    -------
    numpy.float64 or ndarray
        NaN where r is negative or not finite.

    Examples
    --------
    >>> print(f"{h1(0.0):.6f} {h1(1.0):.6f}")
    0.797885 0.564891
    """
    from scipy.special import k0e, k1e

    x = np.asarray((as_non_negative(r, "r") / 2) ** 2)
    large, zero = x > _LARGE, x == 0
    middle = np.where(large | zero, 1.0, x)
    near = np.where(zero, 1.0, middle * (k1e(middle) - k0e(middle)))
    # DLMF 10.40.2: sqrt(2x/pi) K_nu(x) e^x = sum_k a_k(nu)/x^k; the leading terms cancel.
    series = np.zeros_like(x)
    far = np.where(large, x, 1.0)
    for first, zeroth in reversed(_coefficients()[1:]):
        series = (series + (first - zeroth)) / far
    return np.where(large, np.sqrt(far) * series, np.sqrt(2 / np.pi) * near)[()]


def h2(r: npt.ArrayLike) -> Real:
    """E[softsign(x, r)^2] for x ~ N(0, 1): h2 of T-F3, 1 at 0 and 1/r^2 for large r.

    Parameters
    ----------
    r : array_like
        eps/tau, at least 0.

    Returns
    -------
    numpy.float64 or ndarray
        NaN where r is negative or not finite.

    Examples
    --------
    >>> print(f"{h2(0.0):.6f} {h2(1.0):.6f}")
    1.000000 0.344320
    """
    second_moment, _ = scaled_erfc_integrals(as_non_negative(r, "r") / np.sqrt(2))
    return second_moment[()]


def _coefficients() -> list[tuple[float, float]]:
    """a_k(1) and a_k(0) of DLMF 10.17.1."""
    result = [(1.0, 1.0)]
    for k in range(1, _TERMS + 1):
        odd = (2 * k - 1) ** 2
        first, zeroth = result[-1]
        result.append((first * (4 - odd) / (8 * k), zeroth * -odd / (8 * k)))
    return result
