"""Moments of the clipped line under Gaussian noise, without cancellation (T-B3, T-B6).

Written out as in theory.md, both closed forms subtract nearly equal numbers when b or a is
small: at b = 1e-6 the second moment would keep no correct digit. Two identities avoid that.

A clipped line is an average of signs, clip(x/b) = (1/2b) Int_{-b}^{b} sign(x - v) dv, so its
mean is an average of erf over an interval that lies in the positive half-line (a >= 0):

    mean = (m/b) * average of erf(v/sqrt2) over [M - m, M + m],  m = min(a, b), M = max(a, b).

A wide interval is integrated in closed form (that is T-B3 again), a narrow one by
Gauss-Legendre quadrature, which is exact to rounding for so smooth a function.

The second moment is 1 - E[(1 - x^2/b^2)_+]; for b < 1 the expectation is integrated by the same
rule, and for b >= 1 the closed form T-B6 is regrouped into a sum that loses nothing.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from scaling.numeric._arrays import FloatArray

#: Half-width of the widest interval left to quadrature, and its number of nodes: the truncation
#: error of 16 nodes on a Gaussian of unit width over [-1, 1] is below 1e-20.
_NARROW_MEAN = 0.5
_NARROW_SECOND_MOMENT = 1.0
_NODES = 16


def clip_moments(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and second moment of clip(x/b, -1, 1) for x ~ N(a, 1); b = 0 means sign(x)."""
    signal = np.abs(a)
    smaller, larger = np.minimum(signal, b), np.maximum(signal, b)
    average = _choose(
        np.asarray(smaller < _NARROW_MEAN), _average_narrow, _average_wide, smaller, larger
    )
    slope = np.divide(signal, b, out=np.ones_like(average), where=signal < b)
    second_moment = _choose(
        np.asarray(b < _NARROW_SECOND_MOMENT), _second_moment_narrow, _second_moment_wide, signal, b
    )
    return np.copysign(slope * average, a), second_moment


def _choose(
    condition: npt.NDArray[np.bool_],
    if_true: Callable[[FloatArray, FloatArray], FloatArray],
    if_false: Callable[[FloatArray, FloatArray], FloatArray],
    x: FloatArray,
    y: FloatArray,
) -> FloatArray:
    """Evaluate each branch on its own elements only; NaN falls into the second."""
    result = np.empty(condition.shape)
    result[condition] = if_true(x[condition], y[condition])
    result[~condition] = if_false(x[~condition], y[~condition])
    return result


def _average_narrow(half_width: FloatArray, center: FloatArray) -> FloatArray:
    """Average of erf(v/sqrt2) over center +- half_width, by quadrature."""
    from scipy.special import erf

    total = np.zeros_like(center)
    for node, weight in zip(*np.polynomial.legendre.leggauss(_NODES), strict=True):
        total += weight / 2 * erf((center + half_width * node) / np.sqrt(2))
    return total


def _average_wide(half_width: FloatArray, center: FloatArray) -> FloatArray:
    """Average of erf(v/sqrt2) over center +- half_width, in closed form."""
    difference = _erfc_integral(center - half_width) - _erfc_integral(center + half_width)
    return 1 - difference / (2 * half_width)


def _erfc_integral(x: FloatArray) -> FloatArray:
    """Integral of erfc(v/sqrt2) from x to infinity, x >= 0."""
    return 2 * (_normal_density(x) - x * _normal_tail(x))


def _second_moment_narrow(signal: FloatArray, b: FloatArray) -> FloatArray:
    """1 - b Int_{-1}^{1} (1 - u^2) n(a - b u) du, by quadrature."""
    expectation = np.zeros_like(signal)
    for node, weight in zip(*np.polynomial.legendre.leggauss(_NODES), strict=True):
        expectation += weight * (1 - node**2) * _normal_density(signal - b * node)
    return 1 - b * expectation


def _second_moment_wide(signal: FloatArray, b: FloatArray) -> FloatArray:
    """P(|x| > b) + E[x^2; |x| < b]/b^2, which is T-B6."""
    below, above = b - signal, b + signal
    inside = _normal_tail(-below) - _normal_tail(above)
    squares = (
        (signal**2 + 1) * inside - above * _normal_density(below) - below * _normal_density(above)
    )
    return _normal_tail(below) + _normal_tail(above) + squares / b**2


def _normal_density(x: FloatArray) -> FloatArray:
    density: FloatArray = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return density


def _normal_tail(x: FloatArray) -> FloatArray:
    """Probability that a standard normal variable exceeds x."""
    from scipy.special import erfc

    tail: FloatArray = erfc(x / np.sqrt(2)) / 2
    return tail
