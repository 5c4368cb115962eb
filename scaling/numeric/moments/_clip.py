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

The variance is what little is left of the second moment where noise is weak, and is therefore
computed apart.
"""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from scaling.numeric.inputs.arrays import FloatArray

#: Half-width of the widest interval left to quadrature, and its number of nodes: the truncation
#: error of 16 nodes on a Gaussian of unit width over [-1, 1] is below 1e-20.
_NARROW_MEAN = 0.5
_NARROW_SECOND_MOMENT = 1.0
_NODES = 16
#: Probability of x > b beyond which the update counts as nearly 1.
_SATURATED = 0.99


def clip_moments(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, second moment, variance of clip(x/b, -1, 1) for x ~ N(a, 1); b = 0 means sign(x)."""
    signal = np.abs(a)
    smaller, larger = np.minimum(signal, b), np.maximum(signal, b)
    average = _choose(
        np.asarray(smaller < _NARROW_MEAN), _average_narrow, _average_wide, smaller, larger
    )
    slope = np.divide(signal, b, out=np.ones_like(average), where=signal < b)
    mean = slope * average
    second_moment = _choose(
        np.asarray(b < _NARROW_SECOND_MOMENT),
        _second_moment_narrow,
        _second_moment_wide,
        signal,
        b,
    )
    variance = np.asarray(second_moment - mean**2)
    # That difference is lost where the update is nearly linear in x, and where it is nearly 1.
    saturated = np.asarray(_normal_tail(b - signal) > _SATURATED)
    for where, formula in (
        (~saturated & (b >= _NARROW_SECOND_MOMENT), _variance_linear),
        (saturated & (b >= _NARROW_MEAN), _variance_saturated_wide),
        (saturated & (b < _NARROW_MEAN), _variance_saturated_narrow),
    ):
        variance[where] = formula(signal[where], b[where])
    return np.copysign(mean, a), second_moment, variance


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
    for node, weight in _nodes():
        total += weight / 2 * erf((center + half_width * node) / np.sqrt(2))
    return total


def _average_wide(half_width: FloatArray, center: FloatArray) -> FloatArray:
    """Average of erf(v/sqrt2) over center +- half_width, in closed form.

    The integral of erfc(v/sqrt2) from x to infinity is 2 E[(z - x)_+].
    """
    return 1 - (_cut(center - half_width) - _cut(center + half_width)) / half_width


def _second_moment_narrow(signal: FloatArray, b: FloatArray) -> FloatArray:
    """1 - E[(1 - x^2/b^2)_+], by quadrature."""
    return 1 - _missing_square_narrow(signal, b)


def _missing_square_narrow(signal: FloatArray, b: FloatArray) -> FloatArray:
    """E[(1 - x^2/b^2)_+] = b Int_{-1}^{1} (1 - u^2) n(a - b u) du."""
    total = np.zeros_like(signal)
    for node, weight in _nodes():
        total += weight * (1 - node**2) * _normal_density(signal - b * node)
    return b * total


def _nodes() -> Iterable[tuple[float, float]]:
    """Nodes and weights of the quadrature on [-1, 1]."""
    return zip(*np.polynomial.legendre.leggauss(_NODES), strict=True)


def _second_moment_wide(signal: FloatArray, b: FloatArray) -> FloatArray:
    """P(|x| > b) + E[x^2; |x| < b]/b^2, which is T-B6."""
    below, above = b - signal, b + signal
    inside = _normal_tail(-below) - _normal_tail(above)
    squares = (
        (signal**2 + 1) * inside - above * _normal_density(below) - below * _normal_density(above)
    )
    return _normal_tail(below) + _normal_tail(above) + squares / b**2


def _variance_linear(signal: FloatArray, b: FloatArray) -> FloatArray:
    """Variance from what is cut off, r = x - clip(x, -b, b).

    b^2 Var = Var x - 2 Cov(x, r) + Var r, and Cov(x, r) = P(|x| > b) by Stein's lemma.
    """
    below, above = b - signal, b + signal
    clipped = _normal_tail(below) + _normal_tail(above)
    squares = _cut_squares(below) + _cut_squares(above)
    return (1 - 2 * clipped + squares - (_cut(below) - _cut(above)) ** 2) / b**2


def _variance_saturated_wide(signal: FloatArray, b: FloatArray) -> FloatArray:
    """Variance from what is missing to 1: with u = (b - x)_+, 1 - clip(x/b) = u/b up to u = 2b."""
    near, far = signal - b, signal + b
    missing = (_cut(near) - _cut(far)) / b
    return (_cut_squares(near) - _cut_squares(far)) / b**2 - 4 * _cut(far) / b - missing**2


def _variance_saturated_narrow(signal: FloatArray, b: FloatArray) -> FloatArray:
    """Variance from what is missing to 1 in the mean and in the second moment, by quadrature."""
    from scipy.special import erfc

    missing = np.zeros_like(signal)
    for node, weight in _nodes():
        missing += weight / 2 * erfc((signal + b * node) / np.sqrt(2))
    return missing * (2 - missing) - _missing_square_narrow(signal, b)


def _cut(x: FloatArray) -> FloatArray:
    """E[(z - x)_+] for standard normal z."""
    return _normal_density(x) - x * _normal_tail(x)


def _cut_squares(x: FloatArray) -> FloatArray:
    """E[(z - x)_+^2] for standard normal z."""
    return (1 + x**2) * _normal_tail(x) - x * _normal_density(x)


def _normal_density(x: FloatArray) -> FloatArray:
    density: FloatArray = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return density


def _normal_tail(x: FloatArray) -> FloatArray:
    """Probability that a standard normal variable exceeds x."""
    from scipy.special import erfc

    tail: FloatArray = erfc(x / np.sqrt(2)) / 2
    return tail
