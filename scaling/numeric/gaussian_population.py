"""The learning rate of a Gaussian population of coordinates in closed form (T-F3).

g_i ~ N(0, gamma^2), equal noise sigma, diagonal Hessian: lr* ~ (gamma^2/tau) h1(r)/h2(r) with
tau^2 = gamma^2 + sigma^2/B and r = eps/tau.
"""

import numpy as np
import numpy.typing as npt

from scaling.numeric._arrays import FloatArray, Real, as_non_negative

#: Beyond it both closed forms are differences of nearly equal numbers, and series take over.
_LARGE = 60.0
_SMALL = 1e-8


def h1(r: npt.ArrayLike) -> Real:
    """E[x softsign(x, r)] for x ~ N(0, 1): h1 of T-F3.

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

    r = as_non_negative(r, "r")
    q = np.minimum(np.maximum(r, _SMALL), _LARGE) ** 2 / 4
    near = np.sqrt(2 / np.pi) * q * (k1e(q) - k0e(q))
    s = 1 / np.maximum(r, _LARGE) ** 2
    # E[x^2/sqrt(x^2 + r^2)] = (1 - 3/(2 r^2) + 45/(8 r^4) - 525/(16 r^6) + ...)/r
    far = np.sqrt(s) * (1 - 1.5 * s + 5.625 * s**2 - 32.8125 * s**3 + 258.3984375 * s**4)
    return np.where(r > _LARGE, far, near)[()]


def h2(r: npt.ArrayLike) -> Real:
    """E[softsign(x, r)^2] for x ~ N(0, 1): h2 of T-F3.

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
    from scipy.special import erfcx

    r = as_non_negative(r, "r")
    near = 1 - np.sqrt(np.pi / 2) * r * erfcx(r / np.sqrt(2))
    s = 1 / np.maximum(r, _LARGE) ** 2
    far = s * (1 - 3 * s + 15 * s**2 - 105 * s**3 + 945 * s**4)
    return np.where(r > _LARGE, far, near)[()]


def log_gain(log_r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """log(h1(r) sqrt(pi/2)/h2(r)), 0 without eps, and its derivative by log r."""
    step = 1e-4
    r = np.exp(np.clip(log_r, -25, 300))

    def value(at: FloatArray) -> FloatArray:
        return np.asarray(np.log(h1(at) * np.sqrt(np.pi / 2) / h2(at)))

    slope = (value(r * np.exp(step)) - value(r * np.exp(-step))) / (2 * step)
    return value(r), slope
