"""The formulas behind the moment models of `scaling.numeric.moments`.

Each takes arrays a and b and the noise damping c, and returns mean and second moment of the
update; the noiseless updates take the gradient and eps.
"""

import numpy as np

from scaling.numeric._arrays import FloatArray
from scaling.numeric._clip import clip_moments

# Every formula has the arguments (a, b, c). Models without momentum have c = 1, and models
# without epsilon take b only for its shape and its NaN.


def sgd(a: FloatArray, b: FloatArray, _: float) -> tuple[FloatArray, FloatArray]:
    """T-A3: the batch gradient itself, in units of sigma/sqrt(B)."""
    return a + 0 * b, a**2 + 1 + 0 * b


def sign(a: FloatArray, b: FloatArray, _: float) -> tuple[FloatArray, FloatArray]:
    """T-A5."""
    from scipy.special import erf

    mean = erf(a / np.sqrt(2)) + 0 * b
    return mean, 1 + 0 * mean


def sign_isru(a: FloatArray, b: FloatArray, _: float) -> tuple[FloatArray, FloatArray]:
    """T-A6."""
    mean = a / np.hypot(a, np.sqrt(np.pi / 2)) + 0 * b
    return mean, 1 + 0 * mean


def clip(a: FloatArray, b: FloatArray, _: float) -> tuple[FloatArray, FloatArray]:
    """T-B3 and T-B6."""
    return clip_moments(a, b)


def article(a: FloatArray, b: FloatArray, _: float) -> tuple[FloatArray, FloatArray]:
    """T-B5 (second form) and T-B7, the latter without its subtraction."""
    root = np.sqrt(a**2 + b**2 + np.pi / 2)
    return a / root, (a**2 + np.pi / 2) / root**2


def mean_field(a: FloatArray, b: FloatArray, c: float) -> tuple[FloatArray, FloatArray]:
    """T-C1 and T-E1."""
    root = np.sqrt(a**2 + b**2 + 1)
    return a / root, (a**2 + c) / root**2


def mean_field_outside(a: FloatArray, b: FloatArray, c: float) -> tuple[FloatArray, FloatArray]:
    """T-E7 divided through by sigma/sqrt(B)."""
    denominator = np.sqrt(a**2 + 1) + b
    return a / denominator, (a**2 + c) / denominator**2


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
