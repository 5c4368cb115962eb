"""The formulas behind the moment models of `scaling.numeric.moments.models`.

Each takes arrays a and b and the noise damping c, and returns mean, second moment and variance
of the update; the noiseless updates take the gradient and eps.
"""

from typing import TypeAlias

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.moments._clip import clip_moments

#: Mean, second moment and variance. The variance is given too, because where noise is weak
#: it cannot be had from the other two: it is lost in their difference.
Result: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]

# Every formula has the arguments (a, b, c). Models without momentum have c = 1, and models
# without epsilon take b only for its shape and its NaN.


def sgd(a: FloatArray, b: FloatArray, _: float) -> Result:
    """T-A3: the batch gradient itself, in units of sigma/sqrt(B)."""
    nothing = 0 * a + 0 * b
    return a + nothing, a**2 + 1 + nothing, 1 + nothing


def sign(a: FloatArray, b: FloatArray, _: float) -> Result:
    """T-A5."""
    from scipy.special import erf, erfc

    mean = erf(a / np.sqrt(2)) + 0 * b
    return mean, 1 + 0 * mean, erfc(np.abs(a) / np.sqrt(2)) * (1 + np.abs(mean))


def sign_isru(a: FloatArray, b: FloatArray, _: float) -> Result:
    """T-A6."""
    root = np.hypot(a, np.sqrt(np.pi / 2))
    mean = a / root + 0 * b
    return mean, 1 + 0 * mean, (np.sqrt(np.pi / 2) / root) ** 2 + 0 * b


def clip(a: FloatArray, b: FloatArray, _: float) -> Result:
    """T-B3 and T-B6."""
    return clip_moments(*np.broadcast_arrays(a, b))


def article(a: FloatArray, b: FloatArray, _: float) -> Result:
    """T-B5 (second form) and T-B7, the latter without its subtraction."""
    return _ratio_moments(a, np.sqrt(np.pi / 2), np.hypot(np.hypot(a, b), np.sqrt(np.pi / 2)))


def mean_field(a: FloatArray, b: FloatArray, c: float) -> Result:
    """T-C1 and T-E1."""
    return _ratio_moments(a, np.sqrt(c), np.hypot(np.hypot(a, b), 1))


def mean_field_outside(a: FloatArray, b: FloatArray, c: float) -> Result:
    """T-E7 divided through by sigma/sqrt(B)."""
    return _ratio_moments(a, np.sqrt(c), np.hypot(a, 1) + b)


def _ratio_moments(a: FloatArray, noise: float, root: FloatArray) -> Result:
    """Moments of an update of mean a/root and standard deviation noise/root."""
    mean, variance = a / root, (noise / root) ** 2
    return mean, mean**2 + variance, variance


def gradient(gradient: FloatArray, eps: FloatArray) -> FloatArray:
    return gradient + 0 * eps


def sign_of(gradient: FloatArray, eps: FloatArray) -> FloatArray:
    return np.sign(gradient) + 0 * eps


def clipped(gradient: FloatArray, eps: FloatArray) -> FloatArray:
    return np.sign(gradient) * np.minimum(1, _ratio(np.abs(gradient), eps, at_zero=np.inf))


def softsign(gradient: FloatArray, eps: FloatArray) -> FloatArray:
    return _ratio(gradient, np.hypot(gradient, eps), at_zero=0)


def softsign_outside(gradient: FloatArray, eps: FloatArray) -> FloatArray:
    return _ratio(gradient, np.abs(gradient) + eps, at_zero=0)


def _ratio(numerator: FloatArray, denominator: FloatArray, at_zero: float) -> FloatArray:
    """Divide, with a given value where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(denominator.shape, float(at_zero))
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
