"""What momentum does to the noise of many steps together (T-I1).

Momentum makes one update less noisy and successive updates share their noise. Over a run the two
cancel: a learning rate that is to serve a run sees the noise in full, as with beta1 = 0.
"""

import math

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import FloatArray, Real, as_array

#: 1/k! for the series, which reach 1e-17 at arguments up to 1.
_TERMS = 20


def displacement_damping(beta1: npt.ArrayLike, steps: npt.ArrayLike = np.inf) -> Real:
    """Variance of the displacement over K steps with momentum, relative to that without.

    Parameters
    ----------
    beta1 : array_like
        Decay rate of the first moment, in [0, 1).
    steps : array_like, default infinity
        K, whole numbers from 1. 1 is one update, (1 - beta1)/(1 + beta1); infinity is a run, 1.

    Returns
    -------
    numpy.float64 or ndarray
        c_K = 1 - 2 beta1 (1 - beta1^K)/(K (1 - beta1^2)), of the broadcast shape; NaN where
        beta1 or K is out of its range.

    Raises
    ------
    InputError
        If the shapes do not fit.

    Notes
    -----
    T-I1, relative error below 1e-15, for updates sum_k c_k u_(t-k) of independent u. Adam's u are
    not quite that: they share the average v, which is larger where gradients were. With signal a
    and damping b (as in `scaling.update_moments`) and for beta2 -> 1,
    the variance of the displacement over many times 1/(1 - beta2) steps is, by a step,

        psi^2 + 4 a^2 psi psi' + a^2 psi'^2 (2 + 4 a^2),  psi(v) = 1/(sqrt(v) + b) at v = 1 + a^2,

    for every beta1; that of one update at beta1 = 0 (T-F4) is psi^2. At b = 0 they are
    (1 + a^2/2)/(1 + a^2)^3 and 1/(1 + a^2). So a run is beta1 = 0 in T-F4 **where noise
    prevails**; where the signal does, T-F4 has too much variance. Long-run variance of a literal
    Adam with beta1 = 0.9 over that by T-F4 at beta1 = 0, in windows of 20/(1 - beta2) steps:

        (a, b)        (0, 0)  (0, 1)  (0.1, 0.1)  (0.5, 0.5)  (1, 0)  (1, 2)  (2, 0.1)  error
        beta2 0.95     1.00    0.99     0.99        0.80       0.41    0.67     0.15     0.5 %
        beta2 0.99     0.99    0.99     0.97        0.79       0.41    0.66     0.17     1 %
        beta2 0.999    0.97    0.97     0.96        0.77       0.40    0.65     0.17     2.4 %
        limit          1       1        0.99        0.78       0.38    0.65     0.13

    One update, in the same unit, has 0.02 to 0.05.

    Examples
    --------
    >>> displacement_damping(0.9, [1, 10, 100, float("inf")]).round(4).tolist()
    [0.0526, 0.383, 0.9053, 1.0]
    """
    rate, count = as_array(beta1, "beta1"), as_array(steps, "steps")
    rate = np.where((rate >= 0) & (rate < 1), rate, np.nan)
    count = np.where((count >= 1) & (count == np.floor(count)), count, np.nan)
    try:
        rate, count = np.broadcast_arrays(rate, count)
    except ValueError as error:
        raise InputError(f"does not fit beta1: {error}", "steps") from None
    # With beta1 = exp(-x) and y = K x, c_K = 1 - (1 - exp(-y))/y / (sinh(x)/x).
    with np.errstate(divide="ignore", over="ignore"):
        x = -np.log(rate)
        y = count * x
        far = 1 + np.expm1(-y) / (count * np.sinh(x))
    near = y < 1
    small_x, small_y = np.where(near, x, 0.0), np.where(near, y, 0.0)
    # (sinh(x)/x - 1) + (1 - (1 - exp(-y))/y): nothing cancels.
    rise = _series(small_x**2, [1 / math.factorial(2 * k + 3) for k in range(_TERMS // 2)])
    fall = _series(-small_y, [1 / math.factorial(k + 2) for k in range(_TERMS)])
    rise, fall = small_x**2 * rise, small_y * fall
    return np.where(near, (rise + fall) / (1 + rise), far)[()]


def _series(x: FloatArray, coefficients: list[float]) -> FloatArray:
    """Sum coefficients times powers of x, from 0 on."""
    total: FloatArray = np.asarray(np.polynomial.polynomial.polyval(x, coefficients), np.float64)
    return total
